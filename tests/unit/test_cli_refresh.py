"""`refresh` and `history` over HTTP, against an API server whose objects the simulated operator works on."""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway import kinds, names
from modelway.cli import arguments, fleet
from modelway.cli.client import Client
from modelway.cli.commands import Caller
from modelway.cli.exits import Exit, Failure
from modelway.cli.program import run
from modelway.cli.refreshing import Refreshing
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import renew
from simulation.world import World

ONE_STEP = models.canary({"name": "half", "weight": 50, "hold": "20s"}, bake="0s")
_MODELS = re.compile(r"/apis/serving.modelway.io/v1alpha1(?:/namespaces/(\w+))?/modeldeployments(?:/([\w-]+))?")


class ApiServer:
    """Answers as an API server does; between two requests some simulated time passes."""

    def __init__(self, world: World) -> None:
        self.world, self.url = world, ""
        self.seconds = 15.0
        """Simulated time for each request."""
        self.is_away = False
        self.before_patch: Callable[[str], None] = lambda name: None
        self.most_together = 0
        world.server.observers.append(lambda _: self._count())

    def _count(self) -> None:
        active = [item["status"]["rollout"] for item in self._models() if "rollout" in item.get("status", {})]
        together = sum("id" in rollout and "finishedAt" not in rollout for rollout in active)
        self.most_together = max(self.most_together, together)

    def _models(self) -> Sequence[Manifest]:
        return self.world.store.all(kinds.MODEL_DEPLOYMENT)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.is_away:
            return 503, {"message": "starting"}
        if method == "POST":
            return 201, {"status": {"userInfo": {"username": "ada"}}}
        self.world.run_for(self.seconds)
        found = _MODELS.match(path)
        if found:
            return self._of_models(method, found[2], body)
        if "controllerrevisions" in path:
            wanted = re.search(r"labelSelector=[^&]*%3D([\w-]+)", body["_query"])
            assert wanted
            stored = self.world.store.all(kinds.CONTROLLER_REVISION)
            return 200, {
                "items": [item for item in stored if item["metadata"]["labels"][names.MODEL_LABEL] == wanted[1]]
            }
        plan = self.world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, path.rsplit("/", 1)[-1])
        return (200, plan) if plan else (404, {"message": "not found", "details": {}})

    def _of_models(self, method: str, name: str | None, body: Any) -> tuple[int, Any]:
        if name is None:
            return 200, {"items": list(self._models())}
        stored = self.world.store.find(kinds.MODEL_DEPLOYMENT, models.NAMESPACE, name)
        if stored is None:
            return 404, {"message": "not found", "details": {"name": name}}
        if method == "PATCH" and "dryRun" not in body["_query"]:
            self.before_patch(name)
            ((annotation, value),) = body["metadata"]["annotations"].items()
            assert annotation == names.COMMAND_ANNOTATION
            self.world.command("refresh", name, value)
        return 200, self.world.model(name)


@pytest.fixture
def world() -> World:
    """Five models whose runtime is about to change."""
    world = World()
    for number, name in enumerate("abcde", 1):
        world.apply(models.spec(f"v{number}", rollout=ONE_STEP, replicas=1), name)
    world.run_for(120)
    return world


@pytest.fixture
def server(world: World) -> Iterator[ApiServer]:
    told, lock = ApiServer(world), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = (json.loads(raw) if raw else {}) | {"_query": self.path}
            with lock:
                code, content = told.answer(self.command, self.path.partition("?")[0], body)
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  the library's names

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        told.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield told
        listener.shutdown()
        thread.join()


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> str:
    content = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": models.NAMESPACE}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(content))
    return str(path)


class Call:
    """One call of `refresh`, with as many looks as it takes and no pause between them."""

    def __init__(self, kubeconfig: str, *words: str) -> None:
        found = arguments.parse("modelway", ["refresh", *words, "--kubeconfig", kubeconfig])
        ids = itertools.count(1)
        self.said: list[str] = []

        def caller() -> Caller:
            return Caller(id=f"{id(self)}-{next(ids)}", by="ada", at="2026-11-21T10:00:00Z")

        self.refreshing = Refreshing(Client(found.access), found, caller=caller, say=self.said.append)

    def run(self, looks: int = 200) -> "Call":
        self.refreshing.choose()
        self.refreshing.run(itertools.repeat(None, looks))
        self.refreshing.leave()
        return self

    @property
    def results(self) -> dict[str, str]:
        return {line.name: line.result.value for line in self.refreshing.lines}

    def message(self, name: str) -> str:
        (found,) = [line.message for line in self.refreshing.lines if line.name == name]
        return found


def outdated(world: World) -> set[str]:
    world.run_for(5)
    return {name for name in "abcde" if world.status(name)["runtime"]["outdated"]}


def test_a_fleet_is_refreshed_a_few_at_a_time_and_a_second_call_has_nothing_to_do(
    world: World, server: ApiServer, kubeconfig: str
) -> None:
    renew(world)
    assert outdated(world) == set("abcde")
    call = Call(kubeconfig, "--all", "--max-parallel", "2", "--wait").run()
    assert call.results == dict.fromkeys("abcde", "refreshed")
    assert call.refreshing.code is Exit.DONE
    assert server.most_together == 2
    assert outdated(world) == set()
    assert {line["by"] for name in "abcde" for line in world.status(name)["history"][1:]} == {"ada (claimed)"}
    again = Call(kubeconfig, "--all", "--wait").run()
    assert again.results == dict.fromkeys("abcde", "up to date")
    assert (again.refreshing.code, again.said) == (Exit.DONE, [])
    assert all(len(world.status(name)["history"]) == 2 for name in "abcde")


def test_a_failure_stops_the_fleet_and_a_second_call_goes_on_with_the_rest(
    world: World, server: ApiServer, kubeconfig: str
) -> None:
    renew(world)
    world.script("v2", load_failure="ModelLoadFailed", message="the new runtime cannot")
    call = Call(kubeconfig, "--all", "--max-parallel", "1", "--wait").run()
    assert call.results == {"a": "refreshed", "b": "failed", "c": "not tried", "d": "not tried", "e": "not tried"}
    assert call.refreshing.code is Exit.REFUSED
    assert "ModelLoadFailed" in call.message("b")
    assert world.status("b")["stableRevision"]["number"] == 1
    again = Call(kubeconfig, "--all", "--max-parallel", "2", "--wait", "--keep-going").run()
    assert again.results == {"a": "up to date", "b": "failed"} | dict.fromkeys("cde", "refreshed")
    assert "`retry` it, or change the runtime" in again.message("b")
    assert again.refreshing.code is Exit.REFUSED
    world.script("v2")
    renew(world, "example.com/runtime:3")
    world.run_for(5)
    last = Call(kubeconfig, "b", "--wait").run()
    assert (last.results, last.refreshing.code) == ({"b": "refreshed"}, Exit.DONE)


def test_without_wait_the_last_ones_are_only_asked(world: World, server: ApiServer, kubeconfig: str) -> None:
    renew(world)
    call = Call(kubeconfig, "--all", "--max-parallel", "3").run()
    assert set(call.results.values()) == {"asked", "refreshed"}
    assert call.refreshing.code is Exit.DONE
    world.run_for(300)
    assert outdated(world) == set()


def test_a_call_that_was_broken_off_is_taken_up_where_it_was(world: World, server: ApiServer, kubeconfig: str) -> None:
    renew(world)
    server.seconds = 1
    broken = Call(kubeconfig, "a", "b", "c", "--max-parallel", "2", "--wait").run(looks=3)
    assert broken.results == {"a": "asked", "b": "asked", "c": "not tried"}
    call = Call(kubeconfig, "a", "b", "c", "--max-parallel", "2", "--wait").run()
    assert "a: follows rollout 2, asked for before" in call.said
    assert call.results == dict.fromkeys("abc", "refreshed")
    assert [len(world.status(name)["history"]) for name in "abc"] == [2, 2, 2]


def test_what_cannot_be_refreshed_is_named_and_does_not_stop_the_others(
    world: World, server: ApiServer, kubeconfig: str
) -> None:
    renew(world)
    world.edit("a", replicas=0)
    world.edit("b", model=models.model("v9"), rollout=models.canary({"weight": 10, "approval": "Required"}))
    world.edit("c", rollout=ONE_STEP | {"paused": True})
    world.run_for(30)
    call = Call(kubeconfig, "--all", "--wait").run()
    assert call.results == {"a": "skipped", "b": "busy", "c": "busy"} | dict.fromkeys("de", "refreshed")
    assert call.message("b") == "rollout 2 is under way"
    assert call.refreshing.code is Exit.REFUSED


def test_an_edit_that_was_faster_is_no_failure(world: World, server: ApiServer, kubeconfig: str) -> None:
    renew(world)
    server.before_patch = lambda name: world.edit(name, model=models.model("v9")) if name == "b" else None
    call = Call(kubeconfig, "b", "c", "--wait").run()
    assert call.results == {"b": "busy", "c": "refreshed"}


def test_an_approval_by_another_command_is_waited_for(world: World, server: ApiServer, kubeconfig: str) -> None:
    world.edit("a", rollout=models.canary({"weight": 50, "approval": "Required"}, bake="0s"))
    renew(world)
    call = Call(kubeconfig, "a", "--wait").run(looks=6)
    assert call.results == {"a": "asked"}
    assert any("kubectl modelway promote a" in line for line in call.said)
    follower = Call(kubeconfig, "a", "--wait")
    follower.refreshing.choose()
    looks = iter(range(100))

    def approving() -> Iterator[None]:
        for look in looks:
            if look == 3:
                world.command("promote", "a")
            yield None

    follower.refreshing.run(approving())
    assert follower.results == {"a": "refreshed"}


def test_the_api_server_may_restart_meanwhile(world: World, server: ApiServer, kubeconfig: str) -> None:
    renew(world)
    call = Call(kubeconfig, "a", "b", "--max-parallel", "1", "--wait")
    call.refreshing.choose()

    def looks() -> Iterator[None]:
        for look in range(100):
            server.is_away = look in (1, 2)
            yield None

    call.refreshing.run(looks())
    assert call.results == {"a": "refreshed", "b": "refreshed"}
    assert any("answered 503: starting; asks again" in line for line in call.said)


def test_an_api_server_that_is_away_from_the_start_is_a_failure(server: ApiServer, kubeconfig: str) -> None:
    server.is_away = True
    with pytest.raises(Failure) as failure:
        Call(kubeconfig, "a", "--wait").run()
    assert failure.value.code is Exit.UNREACHABLE


def test_a_rollout_that_takes_too_long_stops_the_fleet_and_goes_on(
    world: World, server: ApiServer, kubeconfig: str
) -> None:
    renew(world)
    call = Call(kubeconfig, "a", "b", "--max-parallel", "1", "--wait", "--timeout", "0s").run()
    assert call.results == {"a": "late", "b": "not tried"}
    assert call.refreshing.code is Exit.TIMEOUT
    world.run_for(300)
    assert "a" not in outdated(world)


def test_a_dry_run_writes_nothing(world: World, server: ApiServer, kubeconfig: str) -> None:
    renew(world)
    call = Call(kubeconfig, "--all", "--all-namespaces", "--dry-run").run()
    assert call.results == dict.fromkeys("abcde", "would be refreshed")
    assert call.refreshing.code is Exit.DONE
    assert outdated(world) == set("abcde")


def test_a_name_that_is_not_there_is_a_failure_of_its_own(world: World, server: ApiServer, kubeconfig: str) -> None:
    renew(world)
    call = Call(kubeconfig, "nobody", "a", "--wait", "--keep-going").run()
    assert call.results == {"nobody": "failed", "a": "refreshed"}
    assert "there is no ModelDeployment nobody" in call.message("nobody")


def test_the_whole_command_ends_with_a_table_and_an_exit_code(
    world: World, server: ApiServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    renew(world)
    world.run_for(5)
    server.seconds = 60
    assert run("modelway", ["refresh", "--all", "--max-parallel", "5", "--wait", "--kubeconfig", kubeconfig]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "a: asked for refresh" in said
    at = next(number for number, line in enumerate(said) if line.startswith("NAMESPACE"))
    assert said[at].split() == ["NAMESPACE", "NAME", "RESULT", "MESSAGE"]
    assert said[at + 1].split()[:3] == ["payments", "a", "refreshed"]
    assert said[-1] == "5 refreshed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "write the names of ModelDeployments, or --all", id="nothing"),
        pytest.param(["a", "--all"], "write the names of ModelDeployments, or --all", id="both"),
        pytest.param(["a", "-A"], "--all-namespaces goes with --all", id="names-everywhere"),
        pytest.param(["--all", "--max-parallel", "0"], "'0' is no number from 1 to 100", id="none-at-a-time"),
        pytest.param(["a/b"], "is no name of a ModelDeployment", id="no-name"),
    ],
)
def test_wrong_usage_is_explained(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("modelway", ["refresh", *words])
    assert ended.value.code == Exit.USAGE
    assert said in capsys.readouterr().err


def test_a_table_of_nothing_says_so() -> None:
    assert fleet.table([]) == "nothing found\n"


def show(kubeconfig: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run("modelway", ["history", *words, "--kubeconfig", kubeconfig]) == Exit.DONE
    return capsys.readouterr().out


@pytest.fixture
def lived(world: World, server: ApiServer, kubeconfig: str) -> World:
    """a has been refreshed, and an abort has taken a newer version back."""
    renew(world)
    world.run_for(5)
    Call(kubeconfig, "a", "--wait").run()
    world.edit("a", model=models.model("v9"))
    world.run_for(20)
    world.command("abort", "a", json.dumps({"by": "grace", "id": "x"}))
    world.run_for(60)
    return world


def test_the_history_shows_rollouts_and_revisions(
    lived: World, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts, revisions = (part.splitlines() for part in show(kubeconfig, capsys, "a").split("\n\n"))
    assert rollouts[0].split() == ["ROLLOUT", "ENDED", "REVISION", "STRATEGY", "STEPS", "OUTCOME", "REASON", "BY"]
    assert [line.split()[0] for line in rollouts[1:]] == ["3", "2", "1"]
    assert "2 → 3" in rollouts[1]
    assert rollouts[1].split()[-4:] == ["Aborted", "UserAbort", "grace", "(claimed)"]
    assert "ada (claimed)" in rollouts[2]
    assert revisions[0].split() == ["REVISION", "BORN", "VERSION", "STATE", "REASON", "REFRESH", "URI"]
    assert [line.split()[0] for line in revisions[1:]] == ["3", "2", "1"]
    assert "Aborted by grace (claimed)" in show(kubeconfig, capsys, "a", "-o", "wide")


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_history_is_data_for_programs(
    lived: World, kubeconfig: str, capsys: pytest.CaptureFixture[str], output: str, read: Callable[[str], Any]
) -> None:
    found = read(show(kubeconfig, capsys, "a", "--output", output))
    assert [line["outcome"] for line in found["history"]] == ["Promoted", "Promoted", "Aborted"]
    assert [item["number"] for item in found["revisions"]] == [1, 2, 3]


def test_a_rollout_is_shown_with_its_plan_and_its_evidence(
    lived: World, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = show(kubeconfig, capsys, "a", "--rollout", "3")
    assert "Rollout 3 of a in payments  Aborted" in text
    assert "by        grace (claimed)" in text
    assert "reason    UserAbort: Aborted by grace (claimed)" in text
    assert "1 half  50 %  hold 20s" in text
    assert "No evidence was kept of it." in text
    evidence = {"metrics": [{"name": "errors", "verdict": "Pass"}]}
    lived.change(
        kinds.CONFIG_MAP, "a-rollout-3", lambda item: item["data"].update({"evidence.json": json.dumps(evidence)})
    )
    assert '"verdict": "Pass"' in show(kubeconfig, capsys, "a", "--rollout", "3")
    found = json.loads(show(kubeconfig, capsys, "a", "--rollout", "3", "-o", "json"))
    assert (found["rollout"]["outcome"], found["evidence"]) == ("Aborted", evidence)
    assert found["plan"]["steps"] == [{"hold": "20s", "name": "half", "weight": 50}]


def test_a_rollout_that_is_under_way_is_shown_as_such(
    world: World, server: ApiServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.seconds = 1
    world.edit("a", rollout=models.canary({"weight": 10, "approval": "Required"}), model=models.model("v9"))
    world.run_for(30)
    assert "Rollout 2 of revision 1 → 2 is under way, by kubectl-client-side-apply" in show(kubeconfig, capsys, "a")
    assert "Rollout 2 of a in payments  under way" in show(kubeconfig, capsys, "a", "--rollout", "2")


def test_a_revision_is_shown_with_what_it_is_made_of(
    lived: World, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = show(kubeconfig, capsys, "a", "--revision", "2")
    assert "Revision 2 of a in payments  Serving" in text
    assert "uri       s3://models/fraud/v1" in text
    assert "runtime   ClusterModelRuntime modelway, example.com/runtime:2" in text
    assert "digest    sha256:" in text
    found = yaml.safe_load(show(kubeconfig, capsys, "a", "--revision", "2", "-o", "yaml"))
    assert found["rendered"]["deployment"]["template"]["spec"]["containers"][0]["image"] == "example.com/runtime:2"
    assert found["refresh"] == found["status"]["refresh"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--revision", "9"], "revision 9 of a is not kept; kept are: 1, 2, 3"),
        (["--rollout", "9"], "rollout 9 of a is not kept; kept are: 1, 2, 3"),
    ],
)
def test_46_what_is_not_kept_is_refused_with_what_is(
    lived: World, kubeconfig: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run("modelway", ["history", "a", *words, "--kubeconfig", kubeconfig]) == Exit.REFUSED
    assert said in capsys.readouterr().err
