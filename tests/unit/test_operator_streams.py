"""What stands between kopf and the API server: no answer to a watch ends it for good, none makes it hurry."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from modelway import kinds
from modelway.cluster import paths
from modelway.cluster.streams import LARGEST_PAUSE_SECONDS, Streams, _Pace
from modelway.cluster.watched import watched
from modelway.kinds import Kind

PODS = "/api/v1/pods"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/a/httproutes"
ADDED = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'
EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'
TROUBLE = b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n'

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Heard:
    """What the guard told the process."""

    begun: list[Kind] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Scene:
    """A session with the guard before a server that gives one answer to everything."""

    session: aiohttp.ClientSession
    url: str
    heard: Heard
    streams: Streams

    async def watch(self, path: str = PODS, *, into: list[bytes] | None = None) -> list[bytes]:
        """The lines of a watch."""
        got = [] if into is None else into
        async with self.session.get(f"{self.url}{path}", params={"watch": "true"}) as response:
            assert response.status == 200
            async for line in response.content.iter_chunked(1):
                got += [line]
        return got

    async def list(self, path: str = PODS, **query: str) -> Any:
        """What kopf reads of a list."""
        async with self.session.get(f"{self.url}{path}", params=query) as response:
            assert response.status == 200
            return await response.json()


@pytest.fixture
async def scene() -> AsyncIterator[Callable[[Answer], Awaitable[Scene]]]:
    async with aiohttp.ClientSession() as session:
        runners = []

        async def begin(answer: Answer) -> Scene:
            application = web.Application()
            application.router.add_route("*", "/{path:.*}", answer)
            runners.append(runner := web.AppRunner(application))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            heard = Heard()
            streams = Streams(
                watched(gateway=True), begun=heard.begun.append, ended=lambda code, why: heard.ended.append((code, why))
            )
            session._middlewares = (streams.guard,)
            return Scene(session, f"http://127.0.0.1:{runner.addresses[0][1]}", heard, streams)

        yield begin
        for runner in runners:
            await runner.cleanup()


def lines(*content: bytes) -> Answer:
    """A watch with this content that ends in order."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for part in content:
            await response.write(part)
        return response

    return answer


def refusal(status: int, **headers: str) -> Answer:
    """A `Status` as the API server sends it."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"kind": "Status", "code": status, "message": "said no"}, status=status, headers=named)

    return answer


async def test_a_watch_is_passed_on_whole_line_by_whole_line(scene: Any) -> None:
    here = await scene(lines(ADDED[:10], ADDED[10:] + ADDED))
    assert await here.watch() == [ADDED, ADDED]


@pytest.mark.parametrize("rest", [ADDED[:20], b"<html>502 Bad Gateway</html>\n", b"\n"], ids=["half", "html", "empty"])
async def test_what_is_no_whole_event_is_a_lost_connection(scene: Any, rest: bytes) -> None:
    here, got = await scene(lines(ADDED, rest)), list[bytes]()
    with pytest.raises(aiohttp.ClientPayloadError):
        await here.watch(into=got)
    assert got == [ADDED]


async def test_an_error_of_any_kind_in_a_watch_is_an_expired_one(scene: Any) -> None:
    assert await (await scene(lines(ADDED, TROUBLE))).watch() == [ADDED, EXPIRED]


async def test_a_watch_that_has_expired_before_it_began_says_so_as_an_event(scene: Any) -> None:
    assert await (await scene(refusal(410))).watch() == [EXPIRED]


async def test_a_list_that_expires_half_way_ends_where_a_watch_begins_with_everything(scene: Any) -> None:
    assert await (await scene(refusal(410))).list(**{"continue": "t"}) == {
        "metadata": {"resourceVersion": "0"},
        "items": [],
    }


@pytest.mark.parametrize("after", ["0", "Wed, 21 Oct 2026 07:28:00 GMT"], ids=["none", "date"])
async def test_a_server_that_asks_to_wait_is_asked_again_later(scene: Any, after: str) -> None:
    here = await scene(refusal(429, Retry_After=after))
    with pytest.raises(aiohttp.ClientConnectionError, match="429"):
        await here.watch()


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_what_kopf_can_live_with_is_left_to_it(scene: Any, status: int) -> None:
    here = await scene(refusal(status))
    async with here.session.get(f"{here.url}{PODS}?watch=true") as response:
        assert response.status == status
        assert (await response.json())["message"] == "said no"
    assert here.heard == Heard()


async def test_a_kind_that_is_gone_ends_the_process_in_order(scene: Any) -> None:
    here = await scene(refusal(404))
    with pytest.raises(aiohttp.ClientConnectionError):
        await here.watch(ROUTES)
    assert here.heard.ended == [(0, "HTTPRoute is not served any more; a new start looks what is")]


async def test_a_watch_that_the_server_cannot_do_ends_the_process_with_its_words(scene: Any) -> None:
    here = await scene(refusal(422))
    with pytest.raises(aiohttp.ClientConnectionError):
        await here.watch()
    ((code, why),) = here.heard.ended
    assert code == 1
    assert why.startswith("A watch of Pod was refused with 422: ")
    assert "said no" in why


async def test_a_kind_that_kopf_did_not_find_ends_the_process_in_order(scene: Any) -> None:
    here = await scene(lines(ADDED))
    asked = watched(gateway=True).kinds
    for kind in asked[:-1]:
        await here.watch(paths.collection(kind, "a"))
    await here.streams.settle(pause=0)
    ((code, why),) = here.heard.ended
    assert (code, why) == (0, f"{asked[-1]} was not served a moment ago; a new start looks again")


async def test_kinds_that_are_all_watched_end_nothing_whatever_the_server_answers(scene: Any) -> None:
    here = await scene(refusal(503))
    for kind in watched(gateway=True).kinds:
        async with here.session.get(f"{here.url}{paths.collection(kind, None)}?watch=true"):
            pass
    await here.streams.settle(pause=0)
    assert here.heard.ended == []


async def test_a_group_without_our_kinds_is_no_reason_to_end(scene: Any) -> None:
    here = await scene(refusal(404))
    async with here.session.get(f"{here.url}/apis/serving.modelway.io/v1alpha1") as response:
        assert response.status == 404
    assert here.heard == Heard()


async def test_half_an_answer_is_a_lost_connection(scene: Any) -> None:
    here = await scene(lines(b'{"items": ['))
    with pytest.raises(aiohttp.ClientConnectionError):
        await here.list()


@pytest.mark.parametrize(
    ("query", "begins"),
    [
        ({"watch": "true", "sendInitialEvents": "true"}, True),
        ({"watch": "true", "resourceVersion": "7"}, False),
        ({"limit": "250"}, True),
        ({"limit": "250", "continue": "t"}, False),
    ],
    ids=["first watch", "watch that goes on", "first page", "next page"],
)
async def test_where_a_kind_is_read_anew_is_told(scene: Any, query: dict[str, str], begins: bool) -> None:
    here = await scene(lines(json.dumps({"items": []}).encode()))
    async with here.session.get(f"{here.url}{PODS}", params=query) as response:
        assert response.status == 200
    assert here.heard.begun == [kinds.POD] * begins


def test_watches_that_end_at_once_begin_less_and_less_often() -> None:
    pace, now, pauses = _Pace(), 100.0, []
    for _ in range(6):
        pauses.append(pace.pause(now))
        now += pauses[-1]
        pace.began = now
    assert pauses[0] == 0
    for pause, wanted in zip(pauses[1:], [1, 2, 4, 5, 5], strict=True):
        assert 0.7 * wanted <= pause <= 1.3 * wanted


def test_a_watch_that_lived_long_is_followed_at_once() -> None:
    pace = _Pace(began=100.0, short=9)
    assert pace.pause(161.0) == 0
    assert pace.short == 0
    assert LARGEST_PAUSE_SECONDS < 15
