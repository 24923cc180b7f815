"""What Prometheus, a web service and Alertmanager are asked, and what their answers mean."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from modelway.analysis.figures import Answer
from modelway.analysis.inquiry import Inquiry
from modelway.api.analysis import Metric
from modelway.metrics import Metrics
from modelway.providers import bindings
from modelway.providers.calls import Caller
from modelway.providers.failures import NoAnswer
from modelway.providers.pods import Pods
from modelway.providers.reader import Reader

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BINDINGS = {
    "candidate": "fb5b2ffc90",
    "stable": "096284054e",
    "namespace": "payments",
    "name": "fraud",
    "model": "fraud",
    "rollout": "3",
    "step": "half",
    "since": "2026-11-25T11:55:00Z",
}


class Desk:
    """A reader that asks one metric."""

    def __init__(self, caller: Caller) -> None:
        self.metrics = Metrics()
        self.reader = Reader(Pods(caller), caller, self.metrics)

    async def answer(self, metric: dict[str, Any], *, seconds: float = 30, **changed: str) -> Answer:
        """The answer; it is about the metric that was asked for."""
        inquiry = Inquiry(
            id="3/half/1",
            interval=timedelta(seconds=seconds),
            metrics=(Metric.model_validate({"name": "figure", **metric}),),
            bindings=BINDINGS | changed,
        )
        readings = await self.reader.read(inquiry, NOW)
        assert (readings.inquiry, readings.at) == ("3/half/1", NOW)
        (answer,) = readings.answers
        assert answer.metric == "figure"
        return answer

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"modelway_analysis_{name}", labels) or 0.0


@pytest.fixture
def desk(caller: Caller) -> Desk:
    return Desk(caller)


def query(url: str, text: str = "up") -> dict[str, Any]:
    return {"prometheus": {"address": url, "query": text}, "max": 1}


def judge(url: str, *, is_bounded: bool = True, **more: str) -> dict[str, Any]:
    return {"web": {"url": url, **more}} | ({"min": 0.9} if is_bounded else {})


def veto(url: str, *matchers: str) -> dict[str, Any]:
    return {"alertmanager": {"address": url, "matchers": list(matchers or ('alertname="ModelErrors"',))}}


def success(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def sample(text: str) -> dict[str, Any]:
    return {"metric": {"job": "models"}, "value": [1764072000.1, text]}


VALUES: list[Any] = [
    pytest.param(success("scalar", [1, "0.25"]), 0.25, id="scalar"),
    pytest.param(success("vector", [sample("1e-3")]), 0.001, id="one sample"),
    pytest.param(success("vector", [sample("0")]), 0.0, id="zero is a value"),
    pytest.param(success("vector", [sample("-2")]), -2.0, id="negative"),
    pytest.param(success("vector", []), None, id="no sample"),
    pytest.param(success("vector", [sample("NaN")]), None, id="NaN"),
    pytest.param(success("scalar", [1, "+Inf"]), None, id="infinite"),
    pytest.param(success("scalar", [1, "-Inf"]), None, id="infinitely low"),
    pytest.param(success("scalar", [1, "2"]) | {"warnings": ["slow"]}, 2.0, id="with a warning"),
]


@pytest.mark.parametrize(("body", "value"), VALUES)
async def test_one_number_of_prometheus_is_the_value_and_none_is_no_data(
    serve: Any, saying: Any, desk: Desk, body: Any, value: float | None
) -> None:
    site = await serve(saying(body))
    assert await desk.answer(query(site.url)) == Answer(metric="figure", value=value)
    result = "empty" if value is None else "answered"
    assert desk.count("reads_total", provider="prometheus", result=result) == 1
    assert desk.count("provider_errors_total", provider="prometheus") == 0


async def test_prometheus_is_asked_by_post_below_the_path_of_the_address(serve: Any, saying: Any, desk: Desk) -> None:
    site = await serve(saying(success("scalar", [1, "1"])))
    await desk.answer(query(f"{site.url}/prometheus/", 'sum(rate(a{b="c+d&e"}[5m]))'))
    ((method, path, body),) = site.asked
    assert (method, path) == ("POST", "/prometheus/api/v1/query")
    assert parse_qs(body) == {"query": ['sum(rate(a{b="c+d&e"}[5m]))'], "timeout": ["5s"]}


NOT_ONE_NUMBER: list[Any] = [
    pytest.param(success("vector", [sample("1"), sample("2")]), "gives 2 series: make one number", id="several"),
    pytest.param(success("matrix", []), "gives a matrix", id="matrix"),
    pytest.param(success("string", [1, "x"]), "gives a string", id="string"),
    pytest.param(success("vector", [{"metric": {}, "histogram": [1, {}]}]), "gives a histogram", id="histogram"),
    pytest.param(success("scalar", [1, "x"]), "a sample that is no number", id="no number"),
    pytest.param(success("scalar", [1, 0.5]), "no result of a query", id="a bare number"),
    pytest.param(success("scalar", None), "no result of a query", id="no result"),
    pytest.param(success("novel", [1, "1"]), "no result of a query", id="an unknown type"),
    pytest.param({"status": "success"}, "no result of a query", id="no data"),
    pytest.param([1], "no result of a query", id="a list"),
    pytest.param("<html>", "no JSON", id="html"),
]


@pytest.mark.parametrize(("body", "says"), NOT_ONE_NUMBER)
async def test_56_what_is_not_one_number_is_a_problem_and_no_value(
    serve: Any, saying: Any, desk: Desk, body: Any, says: str
) -> None:
    site = await serve(saying(body))
    answer = await desk.answer(query(site.url))
    assert (answer.value, answer.verdict) == (None, "")
    assert says in answer.problem
    assert desk.count("provider_errors_total", provider="prometheus") == 1
    assert desk.count("reads_total", provider="prometheus", result="error") == 1


ERRORS: list[Any] = [
    pytest.param(400, "bad_data", "invalid parameter: parse error", id="parse error"),
    pytest.param(422, "execution", "found duplicate series", id="execution"),
    pytest.param(503, "timeout", "query timed out", id="timeout"),
    pytest.param(200, "internal", "an odd proxy", id="with a good status"),
]


@pytest.mark.parametrize(("status", "kind", "text"), ERRORS)
async def test_55_an_error_of_prometheus_is_a_problem_in_its_own_words(
    serve: Any, saying: Any, desk: Desk, status: int, kind: str, text: str
) -> None:
    site = await serve(saying({"status": "error", "errorType": kind, "error": text}, status))
    answer = await desk.answer(query(site.url))
    assert answer == Answer(metric="figure", problem=f"{site.address} answered {status}: {kind}: {text}")


async def test_an_error_is_quoted_in_one_short_line_and_without_credentials(
    serve: Any, saying: Any, desk: Desk
) -> None:
    said = f"no\nway password=hunter2 {'long ' * 200}"
    site = await serve(saying({"status": "error", "errorType": "bad_data", "error": said}, 400))
    problem = (await desk.answer(query(site.url))).problem
    assert "hunter2" not in problem
    assert "\n" not in problem
    assert len(problem.encode()) < 250


PROVIDERS: list[Any] = [
    pytest.param(query, id="prometheus"),
    pytest.param(judge, id="web"),
    pytest.param(veto, id="alertmanager"),
]


@pytest.mark.parametrize("ask", PROVIDERS)
@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500, 502, 503, 504])
async def test_55_a_bad_status_of_any_provider_is_never_a_value_nor_a_verdict(
    serve: Any, saying: Any, desk: Desk, ask: Any, status: int
) -> None:
    bodies = {"query": success("scalar", [1, "5"]), "judge": {"verdict": "Fail", "value": 0.1}}
    body = bodies.get(ask.__name__, [{"labels": {"alertname": "ModelErrors"}}])
    site = await serve(saying(body, status))
    answer = await desk.answer(ask(site.url))
    assert answer == Answer(metric="figure", problem=answer.problem)
    assert f"answered {status}" in answer.problem


@pytest.mark.parametrize("ask", PROVIDERS)
async def test_55_a_provider_that_hangs_is_a_problem_within_the_interval(
    serve: Any, hanging: Any, desk: Desk, ask: Any
) -> None:
    site = await serve(hanging)
    answer = await desk.answer(ask(site.url), seconds=0.1)
    assert answer == Answer(metric="figure", problem=f"{site.address} did not answer within 0.08 s")


@pytest.mark.parametrize("ask", PROVIDERS)
async def test_55_a_provider_that_is_not_there_is_a_problem(desk: Desk, ask: Any, free_port: int) -> None:
    answer = await desk.answer(ask(f"http://127.0.0.1:{free_port}"))
    assert answer == Answer(metric="figure", problem=answer.problem)
    assert "could not be asked" in answer.problem


async def test_57_placeholders_bind_both_revisions_and_the_time_since_the_traffic_settled(
    serve: Any, saying: Any, desk: Desk
) -> None:
    site = await serve(saying(success("scalar", [1, "1"])))
    text = (
        'a{revision="{{candidate}}"} - a{revision="{{ stable }}",namespace="{{namespace}}"} '
        '+ b{name="{{name}}",model="{{model}}"}[{{window}}]'
    )
    await desk.answer(query(site.url, text))
    assert parse_qs(site.asked[0][2])["query"] == [
        'a{revision="fb5b2ffc90"} - a{revision="096284054e",namespace="payments"} + b{name="fraud",model="fraud"}[300s]'
    ]


EARLY: list[Any] = [
    pytest.param(query, "rate(a[{{window}}])", id="prometheus"),
    pytest.param(veto, 'a="{{window}}"', id="alertmanager"),
]


@pytest.mark.parametrize(("ask", "text"), EARLY)
async def test_57_a_window_that_is_shorter_than_the_interval_is_not_asked_about(
    serve: Any, saying: Any, desk: Desk, ask: Any, text: str
) -> None:
    site = await serve(saying(success("scalar", [1, "1"])))
    early = (NOW - timedelta(seconds=29)).isoformat()
    assert await desk.answer(ask(site.url, text), since=early) == Answer(metric="figure")
    assert await desk.answer(judge(site.url), since=early) == Answer(metric="figure")
    assert site.asked == []
    await desk.answer(query(site.url), since=early)
    assert len(site.asked) == 1, "a query without a window is asked at once"


async def test_57_the_window_begins_when_the_traffic_settled(serve: Any, saying: Any, desk: Desk) -> None:
    site = await serve(saying(success("scalar", [1, "1"])))
    for seconds in (30, 30.9, 3600):
        since = (NOW - timedelta(seconds=seconds)).isoformat()
        await desk.answer(query(site.url, "{{window}}"), since=since)
    assert [parse_qs(body)["query"] for _, _, body in site.asked] == [["30s"], ["30s"], ["3600s"]]


UNFILLED: list[Any] = [
    pytest.param("{{stable}}", {"stable": ""}, "stands for {{stable}} now", id="no value"),
    pytest.param("{{model}}", {"model": 'x"} or vector(0) #'}, "stands for {{model}} now", id="an injection"),
    pytest.param("{{model}}", {"model": "{{stable}}"}, "stands for {{model}} now", id="a placeholder as value"),
    pytest.param("{{window}}", {"since": ""}, "stands for {{window}} now", id="no beginning"),
]


@pytest.mark.parametrize(("text", "changed", "says"), UNFILLED)
async def test_57_a_query_that_cannot_be_bound_is_a_problem_and_is_not_sent(
    serve: Any, saying: Any, desk: Desk, text: str, changed: dict[str, str], says: str
) -> None:
    site = await serve(saying(success("scalar", [1, "1"])))
    answer = await desk.answer(query(site.url, f"a{{b={text}}}"), **changed)
    assert answer == Answer(metric="figure", problem=answer.problem)
    assert says in answer.problem
    assert site.asked == []


def test_a_time_without_a_zone_is_utc() -> None:
    inquiry = Inquiry(id="1", interval=timedelta(seconds=30), bindings={"since": "2026-11-25T11:59:00"})
    assert bindings.bound(inquiry, NOW).values["window"] == "60s"
    with pytest.raises(NoAnswer):
        bindings.bound(inquiry, NOW).fill("{{candidate}}")


async def test_a_service_is_asked_by_post_with_everything_that_names_the_rollout(
    serve: Any, saying: Any, desk: Desk
) -> None:
    site = await serve(saying({"value": 0.97}))
    assert await desk.answer(judge(f"{site.url}/verdict?team=risk")) == Answer(metric="figure", value=0.97)
    ((method, path, body),) = site.asked
    assert (method, path) == ("POST", "/verdict?team=risk")
    assert site.headers[0]["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "metric": "figure",
        "namespace": "payments",
        "name": "fraud",
        "model": "fraud",
        "revisions": {"candidate": "fb5b2ffc90", "stable": "096284054e"},
        "rollout": "3",
        "step": "half",
        "since": "2026-11-25T11:55:00Z",
        "window": "300s",
    }


SAID: list[Any] = [
    pytest.param({"value": 1}, {}, Answer(metric="figure", value=1.0), id="integer"),
    pytest.param({"result": {"auc": 0.5}}, {"field": "result.auc"}, Answer(metric="figure", value=0.5), id="path"),
    pytest.param({"value": None}, {}, Answer(metric="figure"), id="null"),
    pytest.param('{"value": NaN}', {}, Answer(metric="figure"), id="NaN"),
    pytest.param('{"value": 1e999}', {}, Answer(metric="figure"), id="infinite"),
    pytest.param('{"value": 1' + "0" * 400 + "}", {}, Answer(metric="figure"), id="beyond any float"),
    pytest.param({"verdict": "Pass"}, {}, Answer(metric="figure", verdict="Pass"), id="pass"),
    pytest.param({"verdict": "Fail"}, {"is_bounded": False}, Answer(metric="figure", verdict="Fail"), id="fail"),
    pytest.param(
        {"verdict": "Inconclusive", "value": 1}, {}, Answer(metric="figure", verdict="Inconclusive"), id="both"
    ),
]


@pytest.mark.parametrize(("body", "more", "answer"), SAID)
async def test_a_service_answers_a_number_or_a_verdict(
    serve: Any, saying: Any, desk: Desk, body: Any, more: dict[str, Any], answer: Answer
) -> None:
    site = await serve(saying(body))
    assert await desk.answer(judge(site.url, **more)) == answer


ODD: list[Any] = [
    pytest.param({}, {}, "JSON without a field value", id="nothing"),
    pytest.param({"result": 1}, {"field": "result.auc"}, "JSON without a field result.auc", id="no path"),
    pytest.param({"value": True}, {}, "that is no number", id="bool"),
    pytest.param({"value": "0.97"}, {}, "that is no number", id="text"),
    pytest.param({"value": [1]}, {}, "that is no number", id="list"),
    pytest.param([0.97], {}, "JSON that is no object", id="a list"),
    pytest.param({"verdict": "pass"}, {}, "none of Pass, Fail, Inconclusive", id="small letters"),
    pytest.param({"verdict": "NoData"}, {}, "none of Pass, Fail, Inconclusive", id="our own word"),
    pytest.param({"verdict": ["Fail"]}, {}, "none of Pass, Fail, Inconclusive", id="a list of verdicts"),
    pytest.param({"value": 1}, {"is_bounded": False}, "no limit for a number: write min or max", id="no limit"),
    pytest.param("", {}, "no JSON", id="empty"),
]


@pytest.mark.parametrize(("body", "more", "says"), ODD)
async def test_anything_else_of_a_service_is_a_problem(
    serve: Any, saying: Any, desk: Desk, body: Any, more: dict[str, Any], says: str
) -> None:
    site = await serve(saying(body))
    answer = await desk.answer(judge(site.url, **more))
    assert answer == Answer(metric="figure", problem=answer.problem)
    assert says in answer.problem


def alert(name: str | None) -> dict[str, Any]:
    return {"labels": {"alertname": name} if name else {}, "status": {"state": "active"}}


ALERTS: list[Any] = [
    pytest.param([], "Pass", "", id="none"),
    pytest.param([alert("ModelErrors")], "Fail", "ModelErrors", id="one"),
    pytest.param([alert("B"), alert("A"), alert("A")], "Fail", "A, B", id="named once"),
    pytest.param([alert(name) for name in "ABCDE"], "Fail", "A, B, C and 2 more", id="many"),
    pytest.param([alert("a" * 500)], "Fail", "a" * 200, id="long"),
    pytest.param([alert("A\ntoken=s3cr3t-of-me")], "Fail", "A token=[redacted]", id="with a credential"),
    pytest.param([alert(None)], "Fail", "an alert without a name", id="nameless"),
    pytest.param([{}], "Fail", "an alert without a name", id="empty"),
]


@pytest.mark.parametrize(("body", "verdict", "note"), ALERTS)
async def test_an_alert_that_fires_is_a_veto(
    serve: Any, saying: Any, desk: Desk, body: Any, verdict: str, note: str
) -> None:
    site = await serve(saying(body))
    assert await desk.answer(veto(site.url)) == Answer(metric="figure", verdict=verdict, note=note)


async def test_57_alertmanager_is_asked_for_alerts_in_force_that_match_the_revision(
    serve: Any, saying: Any, desk: Desk
) -> None:
    site = await serve(saying([]))
    await desk.answer(veto(f"{site.url}/am", 'severity=~"page|ticket"', 'revision="{{candidate}}"'))
    ((method, path, _),) = site.asked
    assert (method, urlsplit(path).path) == ("GET", "/am/api/v2/alerts")
    assert parse_qsl(urlsplit(path).query) == [
        ("active", "true"),
        ("silenced", "false"),
        ("inhibited", "false"),
        ("filter", 'severity=~"page|ticket"'),
        ("filter", 'revision="fb5b2ffc90"'),
    ]


@pytest.mark.parametrize("body", [{}, {"alerts": []}, [1], "x", [[]]], ids=str)
async def test_what_is_no_list_of_alerts_is_neither_a_veto_nor_a_pass(
    serve: Any, saying: Any, desk: Desk, body: Any
) -> None:
    site = await serve(saying(body))
    answer = await desk.answer(veto(site.url))
    assert answer == Answer(metric="figure", problem=answer.problem)
    assert answer.problem


async def test_a_matcher_that_alertmanager_refuses_is_a_problem_in_its_words(
    serve: Any, saying: Any, desk: Desk
) -> None:
    site = await serve(saying(json.dumps("bad matcher format: x"), 400))
    answer = await desk.answer(veto(site.url, "x"))
    assert answer.problem == f"{site.address} answered 400: bad matcher format: x"


async def test_each_metric_has_its_own_answer_whatever_the_others_do(
    serve: Any, saying: Any, hanging: Any, desk: Desk
) -> None:
    good, hung, broken = (
        await serve(saying(success("scalar", [1, "1"]))),
        await serve(hanging),
        await serve(saying("", 500)),
    )
    sites = {"good": good, "hung": hung, "broken": broken}
    metrics = tuple(Metric.model_validate({"name": name, **query(site.url)}) for name, site in sites.items())
    inquiry = Inquiry(id="1", interval=timedelta(seconds=2.5), metrics=metrics, bindings=BINDINGS)
    answers = {answer.metric: answer for answer in (await desk.reader.read(inquiry, NOW)).answers}
    assert answers["good"] == Answer(metric="good", value=1.0)
    assert "did not answer" in answers["hung"].problem
    assert "answered 500" in answers["broken"].problem


class Faulty(Caller):
    """Has a fault of our own."""

    async def ask(self, call: Any) -> Any:
        raise KeyError(call.url)


async def test_a_fault_of_our_own_is_a_problem_and_logged_whole_once(
    caplog: pytest.LogCaptureFixture, session: Any
) -> None:
    desk = Desk(Faulty(session))
    for _ in range(3):
        answer = await desk.answer(query("http://prometheus.monitoring.svc:9090"))
        assert answer == Answer(metric="figure", problem="The operator failed to ask: KeyError")
    assert [record.getMessage() for record in caplog.records] == ["Failed to read figures"]
    assert desk.count("provider_errors_total", provider="prometheus") == 3


async def test_the_body_of_an_answer_reaches_no_log(
    serve: Any, saying: Any, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    site = await serve(saying({"value": "hunter2", "verdict": "hunter2"}))
    await desk.answer(judge(site.url))
    assert "hunter2" not in caplog.text
