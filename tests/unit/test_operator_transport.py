"""One request to the API server: what is repeated, what is not, and what the errors become."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, web

from modelway import kinds
from modelway.cluster.api import (
    AlreadyExists,
    ApiError,
    Conflict,
    Fenced,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unreachable,
    error,
)
from modelway.cluster.client import Client
from modelway.cluster.transport import Request, Transport, encode
from modelway.metrics import Metrics

Answers = list[Callable[[web.Request], web.Response]]


class Server:
    """Gives the prepared answers one after the other, the last one for ever."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.seen: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        return self.answers[min(len(self.seen), len(self.answers)) - 1](request)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answers], Any]]:
    runners = []

    async def start(answers: Answers) -> Server:
        server = Server(answers)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return server

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def status(code: int, reason: str = "", **headers: str) -> Callable[[web.Request], web.Response]:
    body = {"kind": "Status", "code": code, "reason": reason, "message": f"said {code}"}
    return lambda _: web.json_response(
        body, status=code, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def ok(**body: Any) -> Callable[[web.Request], web.Response]:
    return lambda _: web.json_response(body)


def half(_: web.Request) -> web.Response:
    return web.Response(body=b'{"items": [{"meta', content_type="application/json")


def drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


GET = Request(method="GET", path="/api/v1/pods", verb="list", kind="Pod", params={})
PUT = Request(method="PUT", path="/api/v1/pods/x", verb="update", kind="Pod", params={}, body={})


@pytest.mark.parametrize("request_", [GET, PUT], ids=lambda request: request.method)
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(status(500), id="500"),
        pytest.param(status(503), id="503"),
        pytest.param(status(429), id="429"),
        pytest.param(drop, id="connection lost"),
        pytest.param(half, id="half an answer"),
    ],
)
async def test_what_may_pass_is_tried_again(
    serve: Any, session: ClientSession, trouble: Any, request_: Request
) -> None:
    server = await serve([trouble, trouble, ok(done=True)])
    assert await Transport(session, server.url, metrics=Metrics()).send(request_) == {"done": True}
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", Invalid),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (405, "MethodNotAllowed", ApiError),
    ],
)
async def test_what_cannot_pass_is_tried_once(
    serve: Any, session: ClientSession, code: int, reason: str, kind: type[ApiError]
) -> None:
    server = await serve([status(code, reason)])
    with pytest.raises(ApiError, match=f"said {code}") as caught:
        await Transport(session, server.url, metrics=Metrics()).send(GET)
    assert (type(caught.value), caught.value.status, caught.value.reason) == (kind, code, reason)
    assert len(server.seen) == 1


async def test_a_long_retry_after_is_left_to_the_queue(serve: Any, session: ClientSession) -> None:
    server = await serve([status(429, Retry_After="60")])
    with pytest.raises(TooManyRequests) as caught:
        await Transport(session, server.url, metrics=Metrics()).send(GET)
    assert caught.value.retry_after == 60
    assert len(server.seen) == 1


async def test_no_server_is_unreachable(session: ClientSession, unused_tcp_port: int) -> None:
    transport = Transport(session, f"http://127.0.0.1:{unused_tcp_port}", metrics=Metrics(), budget=0.0)
    with pytest.raises(Unreachable, match="No answer to list /api/v1/pods"):
        await transport.send(GET)


async def test_63_who_does_not_lead_reads_but_does_not_write(serve: Any, session: ClientSession) -> None:
    server = await serve([ok()])
    transport = Transport(session, server.url, metrics=Metrics(), fence=lambda: False)
    await transport.send(GET)
    with pytest.raises(Fenced, match="Not the leader"):
        await transport.send(PUT)
    assert server.seen == ["GET /api/v1/pods"]


async def test_63_a_write_is_not_repeated_after_leadership_was_lost(serve: Any, session: ClientSession) -> None:
    server = await serve([status(500), ok()])
    is_leading = iter([True, False])
    transport = Transport(session, server.url, metrics=Metrics(), fence=lambda: next(is_leading))
    with pytest.raises(Fenced):
        await transport.send(PUT)
    assert len(server.seen) == 1


async def test_requests_are_counted_by_verb_kind_and_code(serve: Any, session: ClientSession) -> None:
    server, metrics = await serve([status(500), ok()]), Metrics()
    await Transport(session, server.url, metrics=metrics).send(GET)
    for code in ("500", "200"):
        labels = {"verb": "list", "kind": "Pod", "code": code}
        assert metrics.registry.get_sample_value("modelway_api_requests_total", labels) == 1


async def test_a_list_that_expires_half_way_begins_anew(serve: Any, session: ClientSession) -> None:
    def page(name: str, *, following: str) -> Callable[[web.Request], web.Response]:
        metadata = {"resourceVersion": "9", "continue": following}
        return ok(metadata=metadata, items=[{"metadata": {"name": name}}])

    server = await serve(
        [page("old", following="t"), status(410, "Expired"), page("a", following="u"), page("b", following="")]
    )
    client = Client(Transport(session, server.url, metrics=Metrics()))
    listing = await client.listing(kinds.POD, selector="a=b")
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert {(item["kind"], item["apiVersion"]) for item in listing.items} == {("Pod", "v1")}
    assert listing.resource_version == "9"
    assert server.seen[-1] == "GET /api/v1/pods?limit=500&labelSelector=a%3Db&continue=u"


async def test_a_list_that_always_expires_is_given_up(serve: Any, session: ClientSession) -> None:
    server = await serve([status(410, "Expired")])
    with pytest.raises(Gone):
        await Client(Transport(session, server.url, metrics=Metrics())).listing(kinds.POD)
    assert len(server.seen) == 3


def test_an_error_names_the_fields_that_are_wrong() -> None:
    body = {"message": "m", "details": {"causes": [{"field": "spec.x", "message": "too long"}, {}]}}
    assert error(422, body).causes == (("spec.x", "too long"), ("", ""))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("failed to create typed patch object (ns/x; apps/v1, Kind=Deployment): .spec.a: not declared", Invalid),
        ("failed to convert new object (ns/x; apps/v1, Kind=Deployment) to proper version: quantities must", Invalid),
        ("etcdserver: request is too large", Invalid),
        ("etcdserver: leader changed", Unreachable),
    ],
)
def test_of_errors_of_the_server_those_that_stay_are_told_from_those_that_pass(
    message: str, kind: type[ApiError]
) -> None:
    assert type(error(500, {"message": message})) is kind


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"b": 1, "a": {"d": 1, "c": 2}}, '{"a":{"c":2,"d":1},"b":1}'),
        ({"a": "<x>&y"}, '{"a":"\\u003cx\\u003e\\u0026y"}'),
        ({"a": "Zürich\u2028"}, '{"a":"Zürich\\u2028"}'),
    ],
    ids=["sorted", "escaped", "unicode"],
)
def test_a_body_is_written_as_the_api_server_writes_it(body: object, text: str) -> None:
    assert encode(body) == text.encode()
    assert json.loads(encode(body)) == body
