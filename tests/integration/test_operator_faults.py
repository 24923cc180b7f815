"""Whole rollouts on a real API server that fails: late, perhaps, but nothing twice, nothing overwritten, no hurry.

The operator is the real process, the controllers of Deployments and the garbage collector are the real ones; only
kubelet and gateway are played. Faults happen in a proxy between operator and API server, whose journal is the evidence.
"""

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.operator_process import Operator
from faults import proxy
from faults.calls import Call
from faults.journal import Entry
from faults.proxy import Proxy
from faults.script import STREAMS, Effect, Fault, mixed
from modelway.kinds import Manifest
from played import stage
from played.stage import CHILDREN, CRDS, Stage

FAULT_SECONDS = 12.0
MOST_PER_SECOND = 25.0
"""A tight loop makes hundreds. A pass over a model and ten watches that begin anew make a few."""
LATE = (0.1, 1.5)

Start = Callable[..., Operator]


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    """The control plane of this module."""
    with stage.staged() as made:
        yield made


@pytest.fixture
def here(theatre: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A namespace of the test's own."""
    name = f"test-{abs(hash(request.node.name)) % 10**8}"
    theatre.kubectl.run("create", "namespace", name)
    yield Stage(plane=theatre.plane, node=theatre.node, namespace=name)
    theatre.node.resume()
    theatre.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def failing(here: Stage) -> Iterator[Proxy]:
    """The way to the API server that fails."""
    with proxy.running(here.plane.kubeconfig) as made:
        yield made


@pytest.fixture
def start(here: Stage, tmp_path: Path) -> Iterator[Start]:
    """Starts operators of this namespace, through a proxy or not, and waits until they lead if they are to."""
    started: list[Operator] = []

    def begin(through: Proxy | None = None) -> Operator:
        way = through.write_kubeconfig(tmp_path / f"through-{through.port}") if through else here.plane.kubeconfig
        started.append(Operator(way, tmp_path, namespaces=here.namespace, lease_namespace=here.namespace))
        return started[-1]

    yield begin
    for operator in started:
        operator.end()


def some(*effects: Effect, share: float = 0.4) -> tuple[Fault, ...]:
    return tuple(Fault(effect=effect, share=share, seconds=FAULT_SECONDS, delay=LATE) for effect in effects)


FAULTS: list[Any] = [
    pytest.param(some(*sorted(STREAMS), Effect.EXPIRED, share=0.15), id="watches-that-break"),
    pytest.param(some(Effect.THROTTLED, Effect.BROKEN, Effect.UNAVAILABLE, share=0.2), id="refusals"),
    pytest.param(some(Effect.REFUSED, Effect.LOST, Effect.HALVED, share=0.2), id="lost-answers"),
    pytest.param(some(Effect.SLOW, Effect.MOVED), id="late-answers-and-conflicts"),
    pytest.param(mixed(0.05, seconds=FAULT_SECONDS), id="everything"),
]


@pytest.mark.parametrize("faults", FAULTS)
def test_62_an_api_server_that_fails_delays_a_rollout_and_breaks_nothing(
    here: Stage, start: Start, failing: Proxy, faults: tuple[Fault, ...]
) -> None:
    operator = start(failing).wait_until_leading()
    failing.script.begin(*faults)
    here.apply(here.model("iris", "1"))
    here.kubectl.run("wait", "service/iris", f"--namespace={here.namespace}", "--for=create", "--timeout=60s")
    here.kubectl.run("annotate", "service/iris", f"--namespace={here.namespace}", "example.com/team=blue")
    here.until_serves("iris", "1")
    here.apply(here.model("iris", "2", replicas=3))
    here.until_serves("iris", "2")
    failing.script.end()
    assert {fault.effect for fault in faults} >= set(failing.script.happened) != set()
    came_to_the_same_end(here, "iris")
    nothing_twice(failing)
    nothing_blindly(failing, "iris")
    never_backwards(failing)
    no_hurry(failing)
    assert operator.process.poll() is None
    assert not [line for line in operator.lines() if "exception" in line]


def came_to_the_same_end(here: Stage, name: str) -> None:
    """What there is in the end is what a calm day would have left, and what others wrote."""
    status, found = here.status(name), here.children(name)
    assert [line["outcome"] for line in status["history"]] == ["Promoted", "Promoted"]
    counts = {kind: len(items) for kind, items in found.items()}
    assert (counts["controllerrevisions"], counts["deployments"], counts["services"]) == (2, 2, 3)
    assert counts["httproutes"] == 1
    stable = status["stableRevision"]["name"]
    assert {item["metadata"]["name"]: item["spec"]["replicas"] for item in found["deployments"]}[stable] == 3
    (service,) = (item for item in found["services"] if item["metadata"]["name"] == name)
    assert service["metadata"]["annotations"]["example.com/team"] == "blue"
    backends = found["httproutes"][0]["spec"]["rules"][0]["backendRefs"]
    assert {each["name"]: each["weight"] for each in backends if each["weight"]} == {stable: 100}


def nothing_twice(failing: Proxy) -> None:
    """Each object was born once, whatever became of the answers."""
    births = failing.journal.writes(is_wanted=lambda call: call.verb == "create" and call.resource != "events")
    born = Counter((entry.call.resource, (entry.answer or {})["metadata"].get("name", "")) for entry in births)
    born = Counter({key: count for key, count in born.items() if key[0] != "selfsubjectaccessreviews"})
    assert born
    assert set(born.values()) == {1}, born


def can_hurt(call: Call, name: str) -> bool:
    """Route, the model's Service, counts and status: what must carry the version that it was decided from."""
    is_status = call.resource == "modeldeployments" and call.subresource == "status"
    is_traffic = call.resource == "httproutes" or (call.resource == "services" and call.name == name)
    return call.verb in ("patch", "update") and (is_status or is_traffic or call.subresource == "scale")


def nothing_blindly(failing: Proxy, name: str) -> None:
    """Every write that can hurt named the version that it was decided from; the API server refuses the others."""
    hurting = tuple(failing.journal.writes(is_wanted=lambda call: can_hurt(call, name)))
    assert {entry.call.resource for entry in hurting} == {"modeldeployments", "httproutes", "services", "deployments"}
    assert [entry.call.path for entry in hurting if not entry.guard] == []


def position(entry: Entry) -> tuple[int, int]:
    rollout: Manifest = ((entry.answer or {}).get("status") or {}).get("rollout") or {}
    return rollout.get("id", 0), rollout.get("stepIndex", 0)


def never_backwards(failing: Proxy) -> None:
    """29: rollouts are numbered upwards and their steps only rise."""
    written = failing.journal.writes(is_wanted=lambda call: call.resource == "modeldeployments")
    found = [position(entry) for entry in sorted(written, key=version)]
    assert found == sorted(found)
    assert found[-1][0] == 2


def version(entry: Entry) -> int:
    return int((entry.answer or {})["metadata"]["resourceVersion"])


def no_hurry(failing: Proxy) -> None:
    """However much failed, nobody was asked again and again without a pause."""
    entries = failing.journal.since(0)
    seconds = entries[-1].at - entries[0].at
    assert len(entries) < 150 + MOST_PER_SECOND * seconds


OUTAGES: list[Any] = [
    pytest.param((Fault(effect=Effect.UNAVAILABLE),), id="503"),
    pytest.param((Fault(effect=Effect.THROTTLED, retry_after="0"),), id="429-without-a-pause"),
    pytest.param((Fault(effect=Effect.EXPIRED, count=10**6), Fault(effect=Effect.EXPIRED_EVENT)), id="410"),
    pytest.param((Fault(effect=Effect.CUT, count=10**6, delay=(0.0, 0.001)),), id="watches-cut-at-once"),
]


@pytest.mark.parametrize("faults", OUTAGES)
def test_62_who_is_refused_everything_asks_a_few_times_a_second(
    here: Stage, start: Start, failing: Proxy, faults: tuple[Fault, ...]
) -> None:
    operator = start(failing).wait_until_leading()
    here.until("watches began", lambda: failing.journal.counts["watch pods"])
    since = failing.journal.since(0)[-1].at
    failing.script.begin(*faults, Fault(effect=Effect.SEVERED, count=20))
    here.apply(here.model("iris", "1"))
    here.until("much was asked for", lambda: len(failing.journal.since(since)) > 25)
    entries = failing.journal.since(since)
    assert len(entries) < 50 + MOST_PER_SECOND * (entries[-1].at - since)
    failing.script.end()
    here.until_serves("iris", "1")
    assert operator.process.poll() is None


def test_62_an_old_list_at_a_start_makes_nothing_twice_and_raises_nobody_from_the_dead(
    here: Stage, start: Start, failing: Proxy
) -> None:
    operator = start(failing).wait_until_leading()
    here.apply(here.model("gone", "1"), here.model("iris", "1"))
    here.until_serves("gone", "1")
    here.until_serves("iris", "1")
    assert operator.stop() == 0
    assert start(failing).wait_until_leading().stop() == 0  # Reads lists that are old when the next one starts.
    here.kubectl.run("delete", f"--namespace={here.namespace}", "modeldeployment/gone")
    here.apply(here.model("iris", "2"), here.model("new", "1"))
    failing.script.begin(Fault(effect=Effect.STALE, seconds=FAULT_SECONDS))
    start(failing).wait_until_leading()
    here.until_serves("iris", "2")
    here.until_serves("new", "1")
    here.until("nothing is left of what was deleted", lambda: not any(here.children("gone").values()))
    assert failing.script.happened[Effect.STALE] > 0
    nothing_twice(failing)


def test_63_no_write_of_a_former_leader_takes_effect_however_late_it_arrives(
    here: Stage, start: Start, failing: Proxy
) -> None:
    former = start(failing).wait_until_leading()
    here.apply(here.model("iris", "1"))
    here.until_serves("iris", "1")
    successor = start()
    here.until("the second one is ready", lambda: successor.get("/readyz")[0] == 200)
    held = Fault(effect=Effect.HELD, verbs=frozenset({"patch"}), resources=frozenset({"httproutes"}))
    failing.script.begin(held)
    here.apply(here.model("iris", "2"))
    here.until("a write of the leader is on its way", lambda: failing.script.happened[Effect.HELD])
    former.process.send_signal(signal.SIGSTOP)
    successor.wait_until_leading()
    taken = failing.journal.since(0)[-1].at
    here.until_at("iris", 1, "Holding")
    failing.script.end()
    former.process.send_signal(signal.SIGCONT)
    assert former.process.wait(60) == 1
    here.until_serves("iris", "2")
    late = [entry for entry in failing.journal.since(0) if entry.effect is Effect.HELD]
    assert [entry.status for entry in late] == [409] * len(late) != []
    assert [entry.call.path for entry in failing.journal.since(taken) if entry.is_done and entry.at > taken] == []
    status = here.status("iris")
    assert (status["epoch"], [line["outcome"] for line in status["history"]]) == (2, ["Promoted", "Promoted"])
    assert successor.metric("modelway_leader") == 1


def orphaned(here: Stage, name: str) -> bool:
    found = here.children(name, "deployments", "services", "controllerrevisions", "httproutes")
    return not any(item["metadata"].get("ownerReferences") for items in found.values() for item in items)


def owners(here: Stage, name: str) -> set[str]:
    found = here.children(name, "deployments", "services", "controllerrevisions", "httproutes")
    items = [item for each in found.values() for item in each]
    return {owner["uid"] for item in items for owner in item["metadata"].get("ownerReferences") or ({"uid": ""},)}


def test_66_orphans_serve_on_and_are_adopted_by_a_model_that_is_created_again(here: Stage, start: Start) -> None:
    start().wait_until_leading()
    settled, moving = here.model("settled", "1"), here.model("moving", "2", {"weight": 20, "hold": "1h"})
    here.apply(settled, here.model("moving", "1"))
    here.until_serves("settled", "1")
    here.until_serves("moving", "1")
    here.apply(moving)
    here.until_at("moving", 0, "Holding")
    pods = {name: here.pods(name) for name in ("settled", "moving")}
    scope = f"--namespace={here.namespace}"
    here.kubectl.run("delete", "modeldeployments", "--all", scope, "--cascade=orphan")
    here.until("nobody owns the children", lambda: orphaned(here, "settled") and orphaned(here, "moving"))
    assert {name: here.pods(name) for name in pods} == pods
    here.apply(settled, moving)
    here.until_serves("settled", "1")
    here.until_at("moving", 0, "Holding")
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in here.get("modeldeployments")}
    for name, earlier in pods.items():
        here.until(f"{name} has its children", lambda name=name: owners(here, name) == {uids[name]})
        assert here.pods(name) == earlier


def test_66_crds_that_are_applied_again_in_mid_rollout_disturb_neither_step_nor_pod(
    here: Stage, start: Start, failing: Proxy
) -> None:
    operator = start(failing).wait_until_leading()
    here.apply(here.model("iris", "1"))
    here.until_serves("iris", "1")
    here.apply(here.model("iris", "2", {"weight": 20, "approval": "Required"}))
    before, pods = here.until_at("iris", 0, "Holding"), here.pods("iris")
    candidate = here.pods("iris", before["candidateRevision"]["hash"])
    began = failing.journal.counts["watch modeldeployments"]
    for path in sorted(CRDS.glob("*.yaml")):
        here.kubectl.run("apply", f"--filename={path}")
        name = f"crd/{path.stem}.serving.modelway.io"
        for patch in ('{"spec": {"names": {"shortNames": ["later"]}}}', '{"spec": {"names": {"shortNames": null}}}'):
            here.kubectl.run("patch", name, "--type=merge", f"--patch={patch}")
        here.kubectl.run("apply", f"--filename={path}")
    here.until("the watch began again", lambda: failing.journal.counts["watch modeldeployments"] > began)
    assert here.pods("iris") == pods
    here.kubectl.run("annotate", "mdep/iris", f"--namespace={here.namespace}", "serving.modelway.io/command=promote")
    here.until_serves("iris", "2")
    assert here.status("iris")["rollout"]["id"] == before["rollout"]["id"]
    assert candidate < here.pods("iris"), "the candidate keeps its pod and gets others"
    assert operator.process.poll() is None
    assert here.status("iris")["epoch"] == 1


class Kept:
    """An operator that is started again when it ends in order, as the kubelet does."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.operator = start()

    def look(self) -> None:
        if self.operator.process.poll() is not None:
            assert self.operator.process.returncode == 0, self.operator.log.read_text()
            self.operator = self._start()


def test_66_a_deletion_at_any_step_leaves_nothing_also_without_the_router(here: Stage, start: Start) -> None:
    operator = start().wait_until_leading()
    names = ("settled", "held", "starting", "later")
    here.apply(*(here.model(name, "1") for name in names))
    for name in names:
        here.until_serves(name, "1")
    here.apply(
        here.model("held", "2", {"weight": 20, "hold": "1h"}), here.model("later", "2", {"weight": 20, "hold": "1h"})
    )
    here.until_at("held", 0, "Holding")
    before = here.until_at("later", 0, "Holding")
    here.node.holds_pods = True
    here.apply(here.model("starting", "2"))
    here.until("a pod starts", lambda: len(here.pods("starting")) > 2)
    definition = here.kubectl.get("crd/httproutes.gateway.networking.k8s.io")
    pods = here.pods("later")
    here.kubectl.run("delete", "crd/httproutes.gateway.networking.k8s.io")
    here.until("the operator ends in order", lambda: operator.process.poll() is not None)
    restarted = Kept(start)

    def says_what_lacks() -> bool:
        restarted.look()
        return "FeatureNotSupported" in json.dumps(here.status("later")["conditions"])

    here.until("the rollout says what lacks", says_what_lacks)
    after = here.status("later")
    assert (after["rollout"]["id"], after["rollout"]["stepIndex"]) == (2, before["rollout"]["stepIndex"])
    assert here.pods("later") == pods
    scope = f"--namespace={here.namespace}"
    here.kubectl.run("delete", "modeldeployments", "settled", "held", "starting", scope)
    kinds = tuple(kind for kind in CHILDREN if kind != "httproutes")
    for name in ("settled", "held", "starting"):
        here.until(f"nothing is left of {name}", lambda name=name: not any(here.children(name, *kinds).values()))
    here.kubectl.run("create", "--filename=-", stdin=json.dumps(stripped(definition)))
    established = ("wait", "crd/httproutes.gateway.networking.k8s.io", "--for=condition=Established")
    here.until("the Gateway API is there again", lambda: here.kubectl.answers(*established))
    assert restarted.operator.stop() == 0
    start().wait_until_leading()
    here.until_at("later", 0, "Holding")
    (route,) = here.until("the route is back", lambda: here.children("later", "httproutes")["httproutes"])
    assert sorted(each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]) == [20, 80]
    here.apply(here.model("later", "1"))
    here.until_serves("later", "1")


def stripped(manifest: Manifest) -> Manifest:
    """As somebody would apply it."""
    metadata = {key: manifest["metadata"].get(key) or {} for key in ("name", "annotations", "labels")}
    return {key: manifest[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}


REFUSED: list[Any] = [
    pytest.param({"filters": [{"type": "Telepathy"}]}, "spec.rules[0].filters[1].type", id="value"),
    pytest.param({"timeouts": {"forever": "1s"}}, "timeouts.forever: field not declared in schema", id="field"),
]


@pytest.mark.parametrize(("edit", "words"), REFUSED)
def test_41_an_abort_moves_the_traffic_although_the_api_server_refuses_the_edited_route(
    here: Stage, start: Start, edit: Manifest, words: str
) -> None:
    start().wait_until_leading()
    here.apply(here.model("iris", "1", {"weight": 20, "hold": "1h"}))
    here.until_serves("iris", "1")
    second = here.model("iris", "2", {"weight": 20, "hold": "1h"})
    here.apply(second)
    here.until_at("iris", 0, "Holding")
    second["spec"]["traffic"] |= edit
    here.apply(second)
    here.until("the refusal is told", lambda: words in condition(here, "iris", "TrafficProgrammed").get("message", ""))
    assert len(weights(here, "iris")) == 2
    place = ("modeldeployment/iris", f"--namespace={here.namespace}")
    here.kubectl.run("annotate", *place, "serving.modelway.io/abort=2")
    stable = here.status("iris")["stableRevision"]["name"]
    here.until("stable has everything", lambda: weights(here, "iris") == {stable: 100})
    here.until("the candidate is gone", lambda: here.status("iris")["rollout"].get("outcome") == "Aborted")
    assert condition(here, "iris", "TrafficProgrammed")["status"] == "False"
    here.apply(here.model("iris", "2", {"weight": 20, "hold": "1h"}))
    here.until("it is healed", lambda: condition(here, "iris", "TrafficProgrammed").get("status") == "True")
    assert here.status("iris")["phase"] == "RolledBack"


def condition(here: Stage, name: str, kind: str) -> Manifest:
    """A condition of a model, empty while it has none."""
    return next((item for item in here.status(name).get("conditions", ()) if item["type"] == kind), {})


def weights(here: Stage, name: str) -> dict[str, int]:
    """Of the last rule of its live route."""
    (route,) = here.children(name, "httproutes")["httproutes"]
    return {item["name"]: item["weight"] for item in route["spec"]["rules"][-1]["backendRefs"]}
