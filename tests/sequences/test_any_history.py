"""Random histories: edits, commands, faults of pods and gateway, crashes and time, with every invariant checked."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.notes import place
from simulation.selectors import is_ready
from simulation.stories import renew
from simulation.world import World

VERSIONS = ["v1", "v2", "v3", "v4"]
FAULTS: list[dict[str, Any]] = [
    {"load_failure": "ModelLoadFailed"},
    {"fetch_failure": "ArtifactNotFound"},
    {"crashes": True},
    {"is_unschedulable": True},
    {"is_never_ready": True},
    {"flaps_every": 15},
]
ROLLOUTS: list[Manifest] = [
    models.canary({"weight": 10, "hold": "30s"}, {"weight": 50, "hold": "30s"}, bake="30s"),
    models.canary({"weight": 30, "approval": "Required"}, bake="0s"),
    models.canary({"weight": 50, "hold": "1m"}, maxSurge="50%", bake="0s"),
    models.canary(bake="5m"),
    models.rolling(),
    models.rolling(maxSurge="100%", bake="1m"),
    models.blue_green({"hold": "30s"}),
    models.blue_green({"approval": "Required"}, bake="0s"),
    models.canary({"weight": 20, "hold": "30s"}, {"weight": 60, "hold": "30s"}, maxSurge="25%", bake="0s"),
    models.canary({"weight": 40, "hold": "30s"}, maxSurge=0, bake="0s"),
    models.rolling(maxSurge=0),
    models.rolling(capacityFallback="Replace"),
    models.canary({"weight": 40, "hold": "30s"}, capacityFallback="Replace", bake="30s"),
]
LED_ASIDE: list[Manifest] = [
    models.canary({"weight": 0, "hold": "30s"}, {"weight": 50, "hold": "30s"}, candidateMatches=models.BETA),
    models.rolling(candidateMatches=models.BETA),
    models.blue_green({"hold": "1m", "previewHostnames": ["preview.example.com"]}, candidateMatches=models.BETA),
]
"""Rollouts that only a gateway can follow."""

COARSE = {"coarseWeights": "Allow"}
"""Consent to what few pods, and one that takes the place of another, make of a share."""
DEVICE = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
CHILDREN = [kinds.DEPLOYMENT, kinds.SERVICE, kinds.HORIZONTAL_POD_AUTOSCALER, kinds.HTTP_ROUTE]
VERBS = ["promote", "promote-full", "abort", "pause", "resume", "retry", "undo", "refresh"]


class Histories(RuleBasedStateMachine):
    """Whatever happens, no invariant breaks; and when all is well again, it comes to rest."""

    has_gateway = True

    @initialize(
        seed=st.integers(0, 2**16),
        rollout=st.sampled_from([*ROLLOUTS, *LED_ASIDE]),
        pods=st.integers(1, 4),
        runtime=st.sampled_from([{}, DEVICE]),
    )
    def install(self, seed: int, rollout: Manifest, pods: int, runtime: Manifest) -> None:
        rollout = self.followed(rollout)
        self.world = World(seed=seed, has_gateway=self.has_gateway)
        spec = models.spec("v1", gateway=self.has_gateway, rollout=rollout | COARSE, replicas=pods, runtime=runtime)
        self.world.apply(spec)
        self.reached: dict[int, int] = {}

    @rule(seconds=st.sampled_from([1, 3, 7, 15, 40, 120, 700]))
    def wait(self, seconds: int) -> None:
        self.world.run_for(seconds)

    @rule(version=st.sampled_from(VERSIONS))
    def apply_a_version(self, version: str) -> None:
        self.world.apply({**self.world.model()["spec"], "model": models.model(version)})

    @rule(pods=st.integers(0, 5))
    def scale(self, pods: int) -> None:
        self.world.edit(replicas=pods)

    @rule(verb=st.sampled_from(VERBS))
    def command(self, verb: str) -> None:
        self.world.command(verb)

    @rule(paused=st.booleans())
    def pause_in_the_spec(self, paused: bool) -> None:
        self.world.edit(rollout=self.world.model()["spec"]["rollout"] | {"paused": paused})

    def followed(self, rollout: Manifest) -> Manifest:
        """Without what needs a gateway, where there is none."""
        if self.has_gateway:
            return rollout
        found = {key: value for key, value in rollout.items() if key != "candidateMatches"}
        trial = {key: value for key, value in rollout.get("blueGreen", {}).items() if key != "previewHostnames"}
        return found | ({"blueGreen": trial} if trial else {})

    @rule(rollout=st.sampled_from([*ROLLOUTS, *LED_ASIDE]))
    def change_the_strategy(self, rollout: Manifest) -> None:
        self.world.edit(rollout=self.followed(rollout) | COARSE)

    @rule(devices=st.none() | st.integers(1, 6))
    def change_the_number_of_devices(self, devices: int | None) -> None:
        self.world.say(f"the nodes have {devices} devices")
        self.world.kubelet.devices = devices
        self.world.kubelet.look_again()

    @rule(version=st.sampled_from(VERSIONS[1:]), fault=st.sampled_from(FAULTS))
    def break_a_version(self, version: str, fault: dict[str, Any]) -> None:
        self.world.say(f"{version} begins to fail: {fault}")
        self.world.script(version, **fault)

    @rule(version=st.sampled_from(VERSIONS))
    def mend_a_version(self, version: str) -> None:
        self.world.script(version)

    @precondition(lambda self: self.world.pods())
    @rule(data=st.data())
    def lose_a_pod(self, data: st.DataObject) -> None:
        self.world.evict(data.draw(st.sampled_from(self.world.pods())))

    @precondition(lambda self: any(is_ready(pod) for pod in self.world.pods()))
    @rule(data=st.data())
    def a_pod_turns_unready(self, data: st.DataObject) -> None:
        pod = data.draw(st.sampled_from(self.world.pods(ready=True)))
        self.world.say(f"{pod['metadata']['name']} turns unready")
        self.world.kubelet.unready.add(pod["metadata"]["uid"])

    @rule()
    def all_pods_recover(self) -> None:
        self.world.kubelet.unready.clear()

    @rule(release=st.integers(2, 4))
    def somebody_changes_the_runtime(self, release: int) -> None:
        renew(self.world, f"example.com/runtime:{release}")

    @rule(frozen=st.booleans())
    def freeze_the_gateway(self, frozen: bool) -> None:
        self.world.gateway.is_frozen = frozen

    @rule()
    def restart_the_operator(self) -> None:
        self.world.crash()

    @rule(later=st.integers(1, 6))
    def die_at_a_coming_write(self, later: int) -> None:
        self.world.server.faults.die_after = len(self.world.server.writes) + later

    @rule(later=st.integers(1, 6))
    def lose_an_answer(self, later: int) -> None:
        self.world.server.faults.lose_answer_of.add(len(self.world.server.writes) + later)

    @precondition(lambda self: self.has_gateway and self.world.store.all(kinds.HTTP_ROUTE))
    @rule(weight=st.integers(0, 100))
    def somebody_edits_the_weights(self, weight: int) -> None:
        def edit(route: Manifest) -> None:
            for item in route["spec"]["rules"]:
                item["backendRefs"][0]["weight"] = weight

        self.world.change(kinds.HTTP_ROUTE, "fraud", edit)

    @precondition(lambda self: self.has_gateway and self.world.store.all(kinds.HTTP_ROUTE))
    @rule(data=st.data())
    def somebody_takes_a_rule_away(self, data: st.DataObject) -> None:
        found = data.draw(st.sampled_from(self.world.store.all(kinds.HTTP_ROUTE)))
        name = found["metadata"]["name"]
        self.world.say(f"somebody takes a rule of {name} away")
        self.world.change(kinds.HTTP_ROUTE, name, lambda route: route["spec"].update(rules=route["spec"]["rules"][1:]))

    @precondition(lambda self: self.world.store.all(kinds.DEPLOYMENT))
    @rule(data=st.data(), kind=st.sampled_from(CHILDREN))
    def somebody_deletes_a_child(self, data: st.DataObject, kind: kinds.Kind) -> None:
        found = self.world.store.all(kind)
        if found:
            child = data.draw(st.sampled_from(found))
            self.world.say(f"somebody deletes {kind} {child['metadata']['name']}")
            self.world.store.remove(kind, child)

    @invariant()
    def steps_only_rise(self) -> None:
        number, step, _ = place(self.world.rollout())
        if number is not None:
            assert step >= self.reached.get(number, 0)
            self.reached[number] = step

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        for version in VERSIONS:
            world.script(version)
        world.kubelet.unready.clear()
        world.kubelet.devices = None
        world.kubelet.look_again()
        world.gateway.is_frozen = False
        rollout = {**world.model()["spec"]["rollout"], "paused": False}
        world.edit(replicas=world.model()["spec"]["replicas"] or 2, rollout=rollout)
        for _ in range(12):
            world.command("resume", value=f'{{"verb": "resume", "id": "{world.clock.elapsed}"}}')
            world.run_for(60)
            world.command("promote", value=f'{{"verb": "promote", "id": "{world.clock.elapsed}"}}')
            world.run_for(840)
        phase = world.status().get("phase")
        assert phase in ("Healthy", "RolledBack"), world.picture()
        before = len(world.server.writes)
        world.run_for(600)
        assert len(world.server.writes) == before, world.picture()
        stable = world.version_of(world.status()["stableRevision"]["name"])
        assert world.selected() == {stable}, world.picture()
        assert world.matched() == world.previewed() == set(), world.picture()
        assert world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud-preview") is None, world.picture()
        assert {world.version_of(pod_owner(pod)) for pod in world.pods()} == {stable}, world.picture()


def pod_owner(pod: Manifest) -> str:
    return str(pod["metadata"]["name"].rsplit("-", 2)[0])


class ServiceOnlyHistories(Histories):
    """The same without a gateway."""

    has_gateway = False


FEW = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MANY = settings(
    FEW,
    max_examples=800,
    stateful_step_count=40,
    derandomize=False,
    phases=[Phase.generate, Phase.shrink],
)


class TestHistories(Histories.TestCase):
    settings = FEW


class TestServiceOnlyHistories(ServiceOnlyHistories.TestCase):
    settings = FEW


@pytest.mark.full
class TestManyHistories(Histories.TestCase):
    settings = MANY


@pytest.mark.full
class TestManyServiceOnlyHistories(ServiceOnlyHistories.TestCase):
    settings = MANY
