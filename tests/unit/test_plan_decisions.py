"""What a pass decides in any scene: where requests go, how a rollout goes on, and that it comes to an end."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from drawn.scenes import NOW, SCENES, STORED, Row, has, pod, rollout
from modelway import kinds, names
from modelway.plan import capacity, counts, engine, rollouts, routing, weights
from modelway.plan.actions import Apply, Create
from modelway.plan.observed import Revision
from modelway.plan.record import Outcome, Source, StepState, Strategy
from modelway.plan.scene import Scene

PASSES = 60
"""More than any rollout takes whose every wish is fulfilled at once."""


def routed(scene: Scene) -> list[Mapping[str, int]]:
    """The shares in each rule of the route that this pass writes; none where it leaves the route alone."""
    written = (item for item in routing.actions(scene) if isinstance(item, Apply | Create))
    found = [item.manifest for item in written if item.kind == kinds.HTTP_ROUTE]
    rules = (rule for manifest in found for rule in manifest["spec"]["rules"])
    return [{item["name"]: item["weight"] for item in rule["backendRefs"]} for rule in rules]


def raised(scene: Scene) -> Iterator[tuple[Revision, int]]:
    """Revisions that get more than they had, and how much; with stable answering, so that nothing is forced."""
    assume(scene.stable is not None and scene.stable.ready)
    for shares in routed(scene):
        for name, share in shares.items():
            revision = scene.observed.revision(name)
            if revision is not None and share > scene.weight_of(revision):
                yield revision, share


@given(SCENES)
def test_1_and_2_what_is_routed_is_whole_and_leads_to_ready_pods_behind_services_that_exist(row: Row) -> None:
    scene = row.scene()
    for shares in routed(scene):
        found = {name: scene.observed.revision(name) for name in shares}
        assert all(isinstance(share, int) and share > 0 for share in shares.values())
        assert sum(shares.values()) == 100
        assert all(item is not None and item.service is not None for item in found.values())
        is_kept = shares == (scene.observed.route.weights if scene.observed.route else {})
        assert is_kept or all(item is not None and item.ready for item in found.values())


def most(row: Row) -> int:
    """Percent that the steps so far grant the candidate."""
    if row.state is StepState.ROLLING_BACK:
        return 0
    granted = {Strategy.CANARY: (*row.steps, 100), Strategy.BLUE_GREEN: (0, 100), Strategy.ROLLING: (100,)}
    steps = granted[row.strategy]
    return steps[min(row.step, len(steps) - 1)]


@given(SCENES)
def test_3_no_candidate_is_raised_above_its_step(row: Row) -> None:
    for revision, share in raised(row.scene()):
        assert revision.name != "fraud-2" or share <= most(row)


@given(SCENES)
def test_4_who_is_raised_has_the_pods_for_it_or_gets_back_what_the_candidate_may_not_have(row: Row) -> None:
    scene = row.scene()
    for revision, share in raised(scene):
        if revision.name == "fraud-2":
            assert revision.ready >= capacity.need(share, scene.carrying)


@given(SCENES, st.sampled_from([StepState.HOLDING, StepState.ANALYZING, StepState.PROMOTING, *StepState]))
def test_29_no_pass_sets_a_step_back(row: Row, state: StepState) -> None:
    scene = replace(row, strategy=Strategy.CANARY, steps=(10, 50), state=state, is_paused=False).scene()
    after = engine.advanced(scene).rollout
    assert after is not None
    assert (after.id, after.step) >= (2, min(row.step, len(scene.steps) - 1))


MOMENT = st.none() | st.integers(-3600, 0).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(
    st.fixed_dictionaries(
        {
            "settled_at": MOMENT,
            "hold_started_at": MOMENT,
            "paused_at": MOMENT,
            "turned_back_at": MOMENT,
            "is_paused_by_command": st.booleans(),
            "is_approved": st.booleans(),
            "is_full": st.booleans(),
            "is_replacing": st.booleans(),
            "high_water": st.integers(0, 9),
            "base": st.integers(0, 9),
            "attempt": st.integers(0, 9),
            "step": st.integers(0, 1),
            "state": st.sampled_from(list(StepState)),
            "outcome": st.sampled_from(list(Outcome)),
            "by": st.text(max_size=3),
            "reason": st.text(max_size=3),
            "message": st.text(max_size=3),
        }
    ),
    st.sampled_from(list(Source)),
)
def test_50_whatever_a_rollout_was_the_next_one_begins_the_same(flags: Mapping[str, object], source: Source) -> None:
    scene, plain = Row(stable=has(4), candidate=has(1)).scene(), rollout(StepState.SCALING, 0, finished_at=NOW)
    begun = []
    for former in (plain, replace(plain, **flags)):
        record = replace(scene.record, rollout=former)
        after = rollouts.started(scene, record, scene.observed.revisions[0], source=source, by="ada")
        begun.append(after.rollout)
    assert begun[0] == begun[1]


def fulfilled(scene: Scene) -> Scene:
    """Two minutes later: what was decided is done, every pod is ready, and the gateway has confirmed the route."""
    asked, shares, chosen = counts.of(scene), weights.weights(scene), weights.selection(scene)
    route, service, later = scene.observed.route, scene.observed.service, scene.observed.now + timedelta(minutes=2)
    assert route is not None
    if chosen is not None:
        identity = {names.REVISION_LABEL: chosen.removeprefix("fraud-")} if chosen != weights.UNION else {}
        service = {"metadata": STORED, "spec": {"selector": {names.MODEL_LABEL: "fraud"} | identity}}
    observed = replace(
        scene.observed,
        now=later,
        rounded_up=later,
        revisions=tuple(whole(item, asked[item.name]) for item in scene.observed.revisions),
        route=replace(route, weights=shares or route.weights, is_programmed=True),
        service=service,
    )
    return replace(scene, observed=observed, record=rollouts.retired(scene))


def whole(revision: Revision, count: int) -> Revision:
    """With so many pods, all of them ready."""
    assert revision.workload is not None
    pods = tuple(pod(revision.name, index, is_ready=True) for index in range(count))
    return replace(revision, workload=replace(revision.workload, replicas=count), pods=pods)


@given(SCENES)
def test_36_where_every_wish_is_fulfilled_a_rollout_comes_to_its_end(row: Row) -> None:
    assume(row.wanted and not row.is_paused)
    scene = row.scene()
    for _ in range(PASSES):
        scene = scene.knowing(engine.advanced(scene))
        if scene.rollout is None:
            break
        scene = fulfilled(scene)
    last = scene.record.rollout
    assert last is not None
    assert last.outcome == ("Aborted" if row.state is StepState.ROLLING_BACK else "Promoted")
    winner = "fraud-1" if row.state is StepState.ROLLING_BACK else "fraud-2"
    assert scene.record.stable == winner
