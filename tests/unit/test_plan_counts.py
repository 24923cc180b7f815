"""How many pods each revision has: the claims on the budget, row by row, and that no scene exceeds or undercuts it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given

from drawn.scenes import NONE, NOW, SCENES, Pods, Row, has
from modelway.plan import capacity, counts
from modelway.plan.record import StepState


def counted(row: Row) -> tuple[int, int, int]:
    """Pods of the other one, of stable and of the candidate."""
    scene = row.scene()
    other, stable, candidate = (counts.of(scene)[item.name] for item in scene.observed.revisions)
    return other, stable, candidate


SPARE = {"surge": "100%", "stable": has(4)}
TIGHT: dict[str, Any] = {"surge": 1}
SCARCE: dict[str, Any] = {"surge": 0}
BACK = StepState.ROLLING_BACK
GPU = {"holds_devices": True}

ROWS: dict[str, tuple[Row, tuple[int, int, int]]] = {
    "a step gets its pods beside stable": (Row(**SPARE), (0, 4, 2)),
    "the last step gets all": (Row(**SPARE, candidate=has(2), weight=50, step=1), (0, 4, 4)),
    "suspended": (Row(**SPARE | {"wanted": 0}, candidate=has(2)), (0, 0, 0)),
    "stable comes first": (Row(stable=has(1)), (0, 4, 2)),
    "with little surge the first pod is all there is room for": (Row(**TIGHT, stable=has(4)), (0, 4, 1)),
    "stable keeps what its weight needs": (
        Row(**TIGHT, stable=has(4), candidate=has(1), weight=25, state=StepState.ROUTING),
        (0, 3, 1),
    ),
    "and the candidate gets what stable gave": (Row(**TIGHT, stable=has(3), candidate=has(1), weight=25), (0, 3, 2)),
    "until the weight is in force stable keeps all": (
        Row(**TIGHT, stable=has(4), candidate=has(1), weight=25, is_programmed=False),
        (0, 4, 1),
    ),
    "a superseded one drains before the next starts": (Row(**TIGHT, stable=has(4), other=has(1)), (1, 4, 0)),
    "and makes room when its time is over": (
        Row(**TIGHT, stable=has(4), other=has(1), is_kept=False),
        (0, 4, 0),
    ),
    "what stable lacks waits for the drain too": (
        Row(**TIGHT, wanted=2, stable=has(1), other=has(2), candidate=has(0)),
        (2, 1, 0),
    ),
    "a pause stops pods that are on the move": (
        Row(**TIGHT, stable=has(3), candidate=has(1), weight=25, is_paused=True),
        (0, 3, 1),
    ),
    "on its way back stable rises first": (
        Row(**TIGHT, stable=has(2), candidate=has(2), weight=50, state=BACK),
        (0, 3, 2),
    ),
    "and the candidate falls with its weight": (
        Row(**TIGHT, stable=has(3), candidate=has(2), weight=25, state=BACK),
        (0, 3, 1),
    ),
    "with all the surge it stays while it goes back": (
        Row(**SPARE, candidate=has(4), weight=50, state=BACK),
        (0, 4, 4),
    ),
    "more pods wanted": (Row(**SPARE | {"wanted": 8}, candidate=has(2), weight=50), (0, 8, 4)),
    "fewer pods wanted": (Row(**SPARE | {"wanted": 2}, candidate=has(2), weight=50), (0, 2, 1)),
    "a stable one without ready pods leaves room for what replaces it": (
        Row(**TIGHT, stable=has(4, 0), candidate=has(1), weight=100),
        (0, 3, 1),
    ),
    "without surge stable gives a pod first": (Row(**SCARCE, stable=has(4)), (0, 3, 0)),
    "then the candidate starts": (Row(**SCARCE, stable=has(3)), (0, 3, 1)),
    "then stable gives the next": (Row(**SCARCE, stable=has(3), candidate=has(1), weight=33), (0, 3, 1)),
    "without surge the last stable pod stays until its traffic is gone": (
        Row(**SCARCE, wanted=2, stable=has(1), candidate=has(1), weight=50, step=1),
        (0, 1, 1),
    ),
    "the only pod makes room": (Row(**SCARCE, wanted=1, stable=has(1)), (0, 0, 0)),
    "and is replaced": (Row(**SCARCE, wanted=1), (0, 0, 1)),
    "without surge and on the way back": (Row(**SCARCE, stable=has(3), candidate=has(1), state=BACK), (0, 3, 0)),
    "pods that end hold their devices": (Row(**SCARCE, stable=has(3, ending=1, **GPU)), (0, 3, 0)),
    "pods that end hold nothing else": (Row(**SCARCE, stable=has(3, ending=1)), (0, 3, 1)),
    "those of a third one hold theirs too": (
        Row(**TIGHT, stable=has(4), other=Pods(ending=1, **GPU), candidate=Pods(**GPU)),
        (0, 4, 0),
    ),
    "pods that are still to be ended hold their devices": (
        Row(**SCARCE, stable=Pods(asked=3, ready=4, **GPU)),
        (0, 3, 0),
    ),
    "without surge pods that no node takes are asked for no longer": (
        Row(**SCARCE, stable=has(4), candidate=Pods(asked=2, homeless=2)),
        (0, 3, 1),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_18_the_budget_goes_to_the_most_urgent_claims(name: str) -> None:
    row, expected = ROWS[name]
    assert counted(row) == expected


@given(SCENES)
def test_18_no_pod_is_started_that_the_budget_has_no_room_for(row: Row) -> None:
    scene, found = row.scene(), counted(row)
    revisions = scene.observed.revisions
    started = sum(max(0, count - item.asked) for count, item in zip(found, revisions, strict=True))
    there = sum(item.asked + item.lingering(NOW) for item in revisions)
    assert started == 0 or there + started <= scene.total + scene.surge


@given(SCENES)
def test_17_no_revision_loses_a_pod_that_its_weight_needs(row: Row) -> None:
    scene = row.scene()
    assume(scene.carrying)
    for item, count in zip(scene.observed.revisions, counted(row), strict=True):
        share = (scene.observed.route.weights if scene.observed.route else {}).get(item.name, 0)
        assert count >= min(item.replicas, capacity.need(share, scene.carrying))


@given(SCENES)
def test_19_counts_are_never_negative_and_a_step_always_has_a_pod_to_ask_for(row: Row) -> None:
    assert min(counted(row)) >= 0
    alone = replace(row, other=NONE, stable=NONE, candidate=NONE, weight=0, state=StepState.SCALING, is_paused=False)
    assert row.wanted == 0 or counted(alone)[2] >= 1
