"""Each phase, as people and tools see it: conditions, kstatus (Flux, Helm, kpt), Argo CD, and the whole status."""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.kinds import Manifest
from simulation import beginnings as b
from simulation import judges, phases
from simulation.beginnings import Beginning, world_of
from simulation.clock import parse, stamp
from simulation.judges import Answer
from simulation.oracle import CHECKS
from simulation.phases import Told
from simulation.world import World

GOLDEN = Path(__file__).parent / "golden" / "status"
PAGE = Path(__file__).parents[2] / "docs" / "gitops.md"

Row = tuple[Beginning, str, str, str, str]
ROWS: tuple[Row, ...] = (
    # beginning, phase, Ready, Progressing, other conditions
    (b.pending, "Pending", "RolloutInProgress", "NewRevisionCreated", "Reconciling/NewRevisionCreated"),
    (b.initializing, "Initializing", "RolloutInProgress", "ScalingUp", "Reconciling/ScalingUp"),
    (b.first_is_paused, "Paused", "RolloutPaused", "Paused", "Reconciling/Paused Paused/UserPause"),
    (b.healthy, "Healthy", "RevisionPromoted", "Complete", "Available TrafficProgrammed"),
    (b.service_only, "Healthy", "RevisionPromoted", "Complete", "Available TrafficProgrammed"),
    (b.scaled_up, "Progressing", "BelowMinimumReady", "ScalingUp", "Reconciling/ScalingUp Available"),
    (b.resuming, "Progressing", "RolloutInProgress", "ShiftingTraffic", "Reconciling/ShiftingTraffic"),
    (b.unanswered, "Progressing", "RolloutInProgress", "ShiftingTraffic", "Reconciling/RouteNotProgrammed Available"),
    (b.progressing, "Progressing", "RolloutInProgress", "LoadingModel", "Reconciling/LoadingModel Available"),
    (b.waiting_for_an_image, "Progressing", "RolloutInProgress", "ScalingUp", "Reconciling/ImagePullFailed Available"),
    (b.short_of_quota, "Progressing", "RolloutInProgress", "ScalingUp", "Reconciling/QuotaExceeded Available"),
    (b.holding, "Paused", "RolloutPaused", "Paused", "Reconciling/Paused Paused/StepPause Available"),
    (b.waiting_for_approval, "Paused", "RolloutPaused", "Paused", "Reconciling/Paused Paused/AwaitingApproval"),
    (b.paused, "Paused", "RolloutPaused", "Paused", "Reconciling/Paused Paused/UserPause Available"),
    (b.promoting, "Promoting", "RolloutInProgress", "Draining", "Reconciling/Draining Available"),
    (b.rolling_back, "RollingBack", "RolloutInProgress", "ShiftingTraffic", "Reconciling/ShiftingTraffic Available"),
    (b.aborted, "RolledBack", "RolloutAborted", "Aborted", "Stalled/RolloutAborted RolledBack/UserAbort Available"),
    (
        b.refused,
        "RolledBack",
        "RolloutFailed",
        "FailFast",
        "Stalled/RolloutFailed RolledBack/ModelLoadFailed RevisionFailed/ModelLoadFailed Available",
    ),
    (
        b.refused_before,
        "RolledBack",
        "RolloutFailed",
        "FailFast",
        "Stalled/RolloutFailed RolledBack/ModelLoadFailed RevisionFailed/ModelLoadFailed Available",
    ),
    (b.undone, "RolledBack", "RolloutAborted", "Aborted", "Stalled/RolloutAborted RolledBack/UserUndo Available"),
    (b.degraded, "Degraded", "BelowMinimumReady", "ScalingUp", "Reconciling/ScalingUp"),
    (b.degraded_in_mid_rollout, "Degraded", "BelowMinimumReady", "ScalingUp", "Reconciling/ScalingUp Paused/StepPause"),
    (
        b.degraded_after_a_refusal,
        "Degraded",
        "BelowMinimumReady",
        "ScalingUp",
        "Reconciling/ScalingUp RolledBack/ModelLoadFailed RevisionFailed/ModelLoadFailed",
    ),
    (b.invalid, "Stalled", "InvalidSpec", "InvalidSpec", "Stalled/InvalidSpec Available TrafficProgrammed"),
    (b.invalid_while_it_holds, "Stalled", "InvalidSpec", "InvalidSpec", "Stalled/InvalidSpec Available"),
    (b.without_runtime, "Stalled", "RuntimeNotFound", "RuntimeNotFound", "Stalled/RuntimeNotFound Available"),
    (b.overdue, "Stalled", "RolloutFailed", "ProgressDeadlineExceeded", "Stalled/ProgressDeadlineExceeded Available"),
    (b.tried_again, "Stalled", "RolloutFailed", "ProgressDeadlineExceeded", "Stalled/ProgressDeadlineExceeded"),
    (b.first_is_overdue, "Stalled", "RolloutFailed", "ProgressDeadlineExceeded", "Stalled/ProgressDeadlineExceeded"),
    (
        b.first_is_refused,
        "Stalled",
        "RolloutFailed",
        "FailFast",
        "Stalled/RolloutFailed RevisionFailed/ModelLoadFailed",
    ),
    (b.write_denied, "Stalled", "WriteDenied", "WriteDenied", "Stalled/WriteDenied Available"),
    (b.route_refused, "Stalled", "RouteNotAccepted", "RouteNotAccepted", "Stalled/RouteNotAccepted Available"),
    (b.coarse, "Stalled", "WeightNotReachable", "WeightNotReachable", "Stalled/WeightNotReachable Available"),
    (b.suspended, "Suspended", "ScaledToZero", "Complete", ""),
    (b.suspended_while_overdue, "Suspended", "ScaledToZero", "Complete", ""),
    (b.suspended_after_a_refusal, "Suspended", "ScaledToZero", "Complete", "RevisionFailed/ModelLoadFailed"),
    (b.serving_while_it_holds, "Paused", "RolloutInProgress", "Paused", "Paused/AwaitingApproval Available"),
    (
        b.refused_though_serving_is_enough,
        "RolledBack",
        "RolloutFailed",
        "FailFast",
        "Stalled/RolloutFailed RevisionFailed/ModelLoadFailed Available",
    ),
    (
        b.replaced_while_broken,
        "Progressing",
        "RolloutInProgress",
        "ShiftingTraffic",
        "Reconciling/ShiftingTraffic Available",
    ),
)
every_row = pytest.mark.parametrize("row", [pytest.param(row, id=row[0].__name__) for row in ROWS])
every_beginning = pytest.mark.parametrize("beginning", b.ALL, ids=lambda beginning: beginning.__name__)


def conditions(status: Manifest) -> dict[str, Manifest]:
    return {item["type"]: item for item in status["conditions"]}


def statuses(world: World) -> list[Manifest]:
    """Every status that was ever written."""
    return [write.after["status"] for write in world.server.writes if write.verb == "status" and write.after]


@cache
def answers() -> dict[Beginning, Answer]:
    """What kstatus and Argo CD say of the object in each beginning, asked all at once."""
    return dict(zip(b.ALL, judges.judged(world_of(beginning).model() for beginning in b.ALL), strict=True))


def test_each_beginning_has_a_row_and_each_phase_a_beginning() -> None:
    assert [row[0] for row in ROWS] == list(b.ALL)
    assert {row[1] for row in ROWS} == set(phases.TABLE)


@every_row
def test_65_each_phase_has_its_conditions(row: Row) -> None:
    beginning, phase, ready, progressing, others = row
    world = world_of(beginning)
    found = conditions(world.status())
    assert world.status()["phase"] == phase, world.picture()
    assert (found["Ready"]["reason"], found["Progressing"]["reason"]) == (ready, progressing)
    for other in others.split():
        kind, _, reason = other.partition("/")
        assert found[kind]["status"] == "True"
        assert reason in ("", found[kind]["reason"])
    abnormal = {"Reconciling", "Stalled", "Paused", "RevisionFailed"}
    assert found.keys() & abnormal <= {other.partition("/")[0] for other in others.split()}


@every_beginning
def test_65_each_phase_has_one_result_for_kstatus_and_for_argo_cd(beginning: Beginning) -> None:
    told, answer = phases.of(world_of(beginning).status()), answers()[beginning]
    assert (answer["kstatus"]["status"], answer["health"]["status"]) == (told.kstatus, told.argocd)
    assert answer["health"]["message"] == world_of(beginning).status()["message"]


def unseen() -> Manifest:
    world = World()
    world.apply(b.models.spec("v1"))
    return world.model()


def edited() -> Manifest:
    found = world_of(b.healthy).model()
    return {**found, "metadata": found["metadata"] | {"generation": 99}}


def terminating() -> Manifest:
    found = world_of(b.healthy).model()
    return {**found, "metadata": found["metadata"] | {"deletionTimestamp": "2026-11-20T12:00:00Z"}}


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        pytest.param(unseen, phases.UNSEEN, id="an object that nobody has seen"),
        pytest.param(edited, phases.UNSEEN, id="a spec that nobody has seen"),
        pytest.param(terminating, phases.TERMINATING, id="terminating"),
    ],
)
def test_65_what_the_operator_has_not_said_is_no_success(manifest: Any, told: Told) -> None:
    (answer,) = judges.judged([manifest()])
    assert (answer["kstatus"]["status"], answer["health"]["status"]) == (told.kstatus, told.argocd)


@pytest.mark.parametrize("phase", phases.TABLE)
def test_65_every_status_of_a_phase_that_was_ever_written_gets_the_result_of_that_phase(phase: str) -> None:
    found = [
        (world_of(beginning).model(), status)
        for beginning in b.ALL
        for status in statuses(world_of(beginning))
        if status["phase"] == phase
    ]
    objects = [
        {**model, "metadata": model["metadata"] | {"generation": status["observedGeneration"]}, "status": status}
        for model, status in found
    ]
    results = {(answer["kstatus"]["status"], answer["health"]["status"]) for answer in judges.judged(objects)}
    told = {phases.of(status) for _, status in found}
    assert results == {(row.kstatus, row.argocd) for row in told}
    assert told <= {phases.TABLE[phase], phases.SERVING}


@every_beginning
def test_65_times_change_with_the_status_of_a_condition_and_only_then(beginning: Beginning) -> None:
    world = world_of(beginning)
    before: dict[str, Manifest] = {}
    for write in world.server.writes:
        if write.verb != "status" or write.after is None:
            continue
        now = conditions(write.after["status"])
        for kind, item in now.items():
            is_same = kind in before and before[kind]["status"] == item["status"]
            since = before[kind]["lastTransitionTime"] if is_same else stamp(write.at.replace(microsecond=0))
            assert item["lastTransitionTime"] == since, (kind, item)
        before = now


@every_beginning
def test_65_each_transition_is_told_once(beginning: Beginning) -> None:
    events = world_of(beginning).recorder.events
    assert len(set(events)) == len(events), events


@every_beginning
def test_65_the_traffic_told_is_that_of_the_live_route(beginning: Beginning) -> None:
    world = beginning()
    world.run_for(2)
    told = {world.version_of(item["revision"]): item["desiredWeight"] for item in world.status().get("traffic", ())}
    if world.model()["spec"].get("traffic"):
        assert told == world.weights()
    else:
        assert told.keys() == world.selected()


def test_65_a_change_of_the_route_is_not_ready_before_the_gateway_has_confirmed_it() -> None:
    world = b.healthy()
    seen = len(statuses(world))
    world.edit(traffic=b.models.GATEWAY | {"hostnames": ["other.example.com"]})
    world.run_to_phase("Healthy")
    told = [
        (found["phase"], conditions(found)["Ready"]["status"], conditions(found)["TrafficProgrammed"]["status"])
        for found in statuses(world)[seen:]
    ]
    assert told == [("Progressing", "False", "False"), ("Healthy", "True", "True")]


def test_65_a_contradiction_of_phase_and_conditions_would_be_found_at_any_write() -> None:
    assert "65 phase" in CHECKS
    status = world_of(b.degraded).status()
    assert phases.contradiction(status) == ""
    assert phases.contradiction(status | {"phase": "Healthy"}) == ("phase Healthy with Ready=False and ['Reconciling']")


SHOWN: tuple[Beginning, ...] = (
    b.pending,
    b.initializing,
    b.healthy,
    b.progressing,
    b.holding,
    b.waiting_for_approval,
    b.serving_while_it_holds,
    b.promoting,
    b.rolling_back,
    b.aborted,
    b.refused,
    b.overdue,
    b.degraded,
    b.invalid,
    b.suspended,
)
"""At least one for each phase; the files read like a documentation of the status."""


def file_of(beginning: Beginning) -> Path:
    return GOLDEN / f"{beginning.__name__.replace('_', '-')}.yaml"


@pytest.mark.parametrize("beginning", SHOWN, ids=lambda beginning: beginning.__name__)
def test_65_the_status_in_each_phase_reads_like_this(beginning: Beginning) -> None:
    path, text = file_of(beginning), portrait(beginning)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: see UPDATE_GOLDEN=1"


def portrait(beginning: Beginning) -> str:
    """The story in a sentence, what tools make of it, and the status; revisions are named by their order of birth."""
    world, answer = world_of(beginning), answers()[beginning]
    head = f"# {beginning.__doc__}\n#\n# kstatus: {answer['kstatus']['status']}\n"
    head += f"# Argo CD: {answer['health']['status']}\n"
    return world.aliases.shorten(head + yaml.safe_dump(world.status(), sort_keys=False, allow_unicode=True, width=120))


def test_65_each_phase_is_shown_and_no_file_is_left_over() -> None:
    assert {world_of(beginning).status()["phase"] for beginning in SHOWN} == set(phases.TABLE)
    assert set(GOLDEN.iterdir()) == {file_of(beginning) for beginning in SHOWN}


def test_65_the_page_shows_this_table() -> None:
    shown = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for phase in re.findall("`([A-Za-z]+)`", cells[0]) if len(cells) == 5 else ():
            beside = "Stalled" if "`Stalled`" in cells[2] else "Reconciling" if "`Reconciling`" in cells[2] else ""
            shown[phase] = Told(is_ready=cells[1] == "True", abnormal=beside, kstatus=cells[3], argocd=cells[4])
    assert shown == phases.TABLE


def test_65_times_in_a_status_are_of_the_past_but_for_deadlines() -> None:
    world = world_of(b.overdue)
    assert parse(world.rollout()["retryAt"]) > world.clock()
    assert all(parse(item["lastTransitionTime"]) <= world.clock() for item in world.status()["conditions"])
