"""The status page: what it shows at each point of a rollout, and what it advises."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from modelway.cli import advice, arguments, view
from modelway.cli.objects import Model
from modelway.cli.paint import Paint

NOW = datetime(2026, 11, 21, 10, 2, 30, tzinfo=UTC)
SPEC = {
    "model": {"uri": "s3://models/fraud/2", "format": "onnx"},
    "rollout": {
        "strategy": "Canary",
        "steps": [
            {"name": "taste", "weight": 10, "hold": "1m"},
            {"name": "half", "weight": 50, "hold": "5m", "approval": "Required"},
            {"name": "all", "weight": 100},
        ],
    },
}
STABLE = {
    "name": "fraud-a",
    "number": 1,
    "version": "1",
    "state": "Serving",
    "replicas": {"desired": 2, "ready": 2},
}
CANDIDATE = {
    "name": "fraud-b",
    "number": 2,
    "version": "2",
    "state": "Serving",
    "replicas": {"desired": 2, "ready": 1},
}
HOLDING: dict[str, Any] = {
    "observedGeneration": 2,
    "phase": "Progressing",
    "message": "Revision 2 holds at 50 %",
    "weight": 50,
    "address": {"url": "http://fraud.example.com", "internal": "http://fraud.payments.svc"},
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "RolloutInProgress",
            "message": "A rollout moves.",
            "lastTransitionTime": "2026-11-21T10:00:00Z",
        },
        {
            "type": "Available",
            "status": "True",
            "reason": "MinimumReplicasReady",
            "lastTransitionTime": "2026-11-21T09:00:00Z",
        },
    ],
    "stableRevision": {"name": "fraud-a", "number": 1},
    "candidateRevision": {"name": "fraud-b", "number": 2},
    "revisions": [STABLE, CANDIDATE],
    "traffic": [
        {"revision": "fraud-a", "desiredWeight": 50, "programmedWeight": 50},
        {"revision": "fraud-b", "desiredWeight": 50, "programmedWeight": 10},
    ],
    "rollout": {
        "id": 3,
        "revision": "fraud-b",
        "from": "fraud-a",
        "strategy": "Canary",
        "stepIndex": 1,
        "stepCount": 3,
        "stepState": "Holding",
        "startedAt": "2026-11-21T10:00:00Z",
        "holdStartedAt": "2026-11-21T10:01:30Z",
    },
}

PAGE = """\
fraud in payments  Progressing
  Revision 2 holds at 50 %
  URL     http://fraud.example.com
  inside  http://fraud.payments.svc

Rollout 3  Canary, revision 1 → 2, for 2m30s
  ✔ 1 taste  10 %  hold 1m
  ▶ 2 half   50 %  hold 5m, approval  Holding, 4m left
  · 3 all   100 %

Revisions
    2  candidate   50 %  1 of 2 ready  Serving   2  (the gateway is at 10 %)
    1  stable      50 %  2 of 2 ready  Serving   1

Conditions
  ✘ Ready=False  RolloutInProgress: A rollout moves.
"""


def _model(status: dict[str, Any], generation: int = 2) -> Model:
    metadata = {"name": "fraud", "namespace": "payments", "uid": "u-1", "generation": generation}
    return Model.parse({"metadata": metadata, "spec": SPEC, "status": status})


def _condition(kind: str, reason: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": "2026-11-21T10:00:00Z"}


def _changed(**rollout: Any) -> Model:
    return _model(HOLDING | {"rollout": HOLDING["rollout"] | rollout})


def test_the_page_of_a_canary_that_holds() -> None:
    assert view.page(_model(HOLDING), NOW) == PAGE


def test_a_page_for_a_terminal_has_the_same_words() -> None:
    painted = view.page(_model(HOLDING), NOW, Paint(True))
    assert "\x1b[1m" in painted
    assert "Holding, 4m left" in painted


@pytest.mark.parametrize(
    ("model", "line"),
    [
        pytest.param(_model({}), "has not seen this object yet", id="nothing seen"),
        pytest.param(_model(HOLDING, generation=3), "not seen the last change", id="an edit not seen"),
        pytest.param(_changed(holdStartedAt="2026-11-21T09:00:00Z"), "waits for approval", id="hold over"),
        pytest.param(_changed(pauseStartedAt="2026-11-21T10:01:30Z"), "5m left", id="a pause stops the clock"),
        pytest.param(_changed(retryAt="2026-11-21T10:07:30Z"), "next try in 5m", id="a retry to come"),
        pytest.param(
            _changed(outcome="Failed", reason="ModelLoadFailed", finishedAt="2026-11-21T10:00:09Z"),
            "Failed after 9s: ModelLoadFailed",
            id="a failure",
        ),
        pytest.param(
            _changed(
                lastCommand={
                    "verb": "promote",
                    "by": "ada",
                    "result": "Rejected",
                    "message": "step 0 is over",
                }
            ),
            "last command: promote by ada: Rejected. step 0 is over",
            id="a rejected command",
        ),
        pytest.param(_changed(strategy="Rolling", stepState="Loading"), "▶ Loading", id="a rollout without steps"),
        pytest.param(_changed(stepIndex=3, stepState="Promoting"), "▶ promotion", id="after the last step"),
    ],
)
def test_the_page_shows(model: Model, line: str) -> None:
    assert line in view.page(model, NOW)


_DE = "errors of language=de: 1.2 % [0.5 %, 2.4 %] of 804 requests"


@pytest.mark.parametrize(
    ("segments", "lines"),
    [
        pytest.param({"judged": 0, "small": 0}, ["by language: no groups judged"], id="nothing counted"),
        pytest.param({"judged": 0, "small": 3}, ["by language: no groups judged, 3 with too few requests"], id="few"),
        pytest.param(
            {"judged": 1, "small": 0, "worst": "de", "message": _DE},
            ["by language: 1 group judged; the worst is de", _DE],
            id="one",
        ),
        pytest.param(
            {"judged": 4, "small": 2, "worst": "de", "message": "errors: 1 %"},
            ["by language: 4 groups judged, 2 with too few requests; the worst is de"],
            id="one that the verdict is about",
        ),
    ],
)
def test_the_page_shows_how_groups_were_judged_and_the_worst(segments: dict[str, Any], lines: list[str]) -> None:
    metric = {"name": "errors", "verdict": "Pass", "message": "errors: 1 %"}
    whole = {"step": 1, "metrics": [metric | {"segments": {"input": "language"} | segments}]}
    shown = view.page(_changed(analysis=whole), NOW).splitlines()
    first = shown.index("    ✔ Pass  errors: 1 %") + 1
    assert [line.strip() for line in shown[first : shown.index("", first)]] == lines


@pytest.mark.parametrize(
    ("conditions", "step"),
    [
        pytest.param([], "", id="nothing wrong"),
        pytest.param([_condition("Paused", "AwaitingApproval")], "modelway promote fraud -n payments", id="approval"),
        pytest.param(
            [_condition("Stalled", "RolloutFailed"), _condition("RevisionFailed", "ModelLoadFailed")],
            "modelway-runtime check",
            id="the failure itself, not that there was one",
        ),
        pytest.param([_condition("Reconciling", "ImagePullFailed")], "image name", id="trouble that may heal"),
        pytest.param([_condition("Reconciling", "LoadingModel")], "", id="a rollout that moves"),
        pytest.param([_condition("TrafficProgrammed", "RouteNotAccepted", "False")], "parentRefs", id="a route"),
    ],
)
def test_the_advice_is_that_of_the_most_telling_reason(conditions: list[dict[str, str]], step: str) -> None:
    found = advice.next_step(_model(HOLDING | {"conditions": conditions}))
    assert step in found
    assert bool(step) == bool(found)


def test_the_table_has_a_line_for_each_object() -> None:
    head, line = view.table([_model(HOLDING)]).splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "PHASE", "REVISION", "WEIGHT", "MESSAGE"]
    assert line.split()[:2] == ["payments", "fraud"]
    assert "1 → 2" in line


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["promote"], id="no name"),
        pytest.param(["promote", "fraud", "--timeout", "5"], id="a number without a unit"),
        pytest.param(["undo", "fraud", "--to-revision", "first"], id="a revision that is no number"),
        pytest.param(["rollback", "fraud"], id="an unknown command"),
    ],
)
def test_wrong_usage_ends_with_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        arguments.parse("modelway", words)
    assert ending.value.code == 2
    assert "usage: modelway" in capsys.readouterr().err


def test_a_status_of_an_unknown_form_asks_for_an_update() -> None:
    with pytest.raises(Exception, match="Update this program"):
        _model(json.loads('{"revisions": "many"}'))
