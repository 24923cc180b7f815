"""One call: what bounds it, where it may go, and what it never brings along."""

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from modelway.providers import calls, reach
from modelway.providers.calls import Call, Caller
from modelway.providers.failures import NoAnswer
from modelway.providers.lookup import Info, Lookup
from modelway.providers.reach import Reach

Serve = Callable[[Any], Awaitable[Any]]
LOOPBACK = (ip_network("127.0.0.0/8"),)


def call(url: str, **more: Any) -> Call:
    return Call(**{"url": url, "seconds": 5.0, "most_bytes": 4096, **more})


async def refusal(caller: Caller, url: str, **more: Any) -> str:
    """Why there is no answer."""
    with pytest.raises(NoAnswer) as found:
        (await caller.ask(call(url, **more))).json()
    return str(found.value)


def resolved(*addresses: str) -> Lookup:
    """Every name stands for these addresses."""

    def question(host: str, port: int, family: int) -> list[Info]:
        families = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (families[ip_address(item).version], socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (item, port))
            for item in addresses
        ]

    return Lookup(question)


async def answered(content: Any) -> web.Response:
    return web.json_response(content)


async def test_an_answer_is_its_json(serve: Serve, caller: Caller) -> None:
    site = await serve(lambda _: answered({"value": 1}))
    assert (await caller.ask(call(f"{site.url}/judge?key=1"))).json() == {"value": 1}
    assert site.asked == [("GET", "/judge?key=1", "")]


STATUSES = [301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("status", STATUSES)
async def test_55_a_bad_status_is_no_answer_and_nothing_of_its_body_is_shown(
    serve: Serve, caller: Caller, status: int
) -> None:
    async def answer(_: web.Request) -> web.Response:
        headers = {"Location": "http://127.0.0.1:1/elsewhere"} if status < 400 else {}
        return web.json_response({"value": 1, "secret": "hunter2"}, status=status, headers=headers)

    site = await serve(answer)
    said = await refusal(caller, site.url)
    assert said.startswith(f"{site.address} answered {status}")
    assert "hunter2" not in said
    assert len(site.asked) == 1, "no redirect is followed"


async def test_55_a_server_that_never_answers_is_left_after_the_time_out(serve: Serve, caller: Caller) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    site = await serve(hang)
    assert await refusal(caller, site.url, seconds=0.05) == f"{site.address} did not answer within 0.05 s"


async def test_55_a_server_that_trickles_is_left_after_the_time_out(serve: Serve, caller: Caller) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        await asyncio.Event().wait()
        return response

    site = await serve(trickle)
    assert "did not answer within" in await refusal(caller, site.url, seconds=0.2)


async def test_55_a_closed_port_is_no_answer(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = await refusal(caller, f"http://127.0.0.1:{port}")
    assert said.startswith(f"127.0.0.1:{port} could not be asked: ")
    assert "Connect" in said


async def test_55_a_name_that_nobody_knows_is_no_answer() -> None:
    def question(host: str, port: int, family: int) -> list[Info]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with calls.session(Reach(), Lookup(question)) as session:
        said = await refusal(Caller(session), "http://prometheus.monitoring.svc:9090/")
    assert said == "prometheus.monitoring.svc:9090 could not be asked: Name or service not known"


async def test_55_a_connection_that_breaks_off_is_no_answer(serve: Serve, caller: Caller) -> None:
    async def break_off(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        raise ConnectionResetError

    site = await serve(break_off)
    assert "could not be asked" in await refusal(caller, site.url)


@pytest.mark.parametrize(
    "text", ["", "<html>", '{"a":', "[" * 4000, "null"], ids=["empty", "html", "cut", "deep", "null"]
)
async def test_what_is_no_json_is_no_answer(serve: Serve, caller: Caller, text: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    site = await serve(answer)
    assert await refusal(caller, site.url) == f"{site.address} answered something that is no JSON"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_an_answer_that_is_too_long_is_not_read_to_its_end(
    serve: Serve, caller: Caller, is_chunked: bool
) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={} if is_chunked else {"Content-Length": str(2**40)})
        await response.prepare(request)
        while True:
            await response.write(b"[" * 65536)

    site = await serve(flood)
    assert await refusal(caller, site.url) == f"{site.address} answered more than 4 KiB"


async def test_a_packed_answer_is_not_unpacked(serve: Serve, caller: Caller) -> None:
    async def bomb(_: web.Request) -> web.Response:
        packed = gzip.compress(json.dumps({"value": "x" * 1_000_000}).encode())
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    site = await serve(bomb)
    assert await refusal(caller, site.url) == f"{site.address} answered something that is no JSON"
    assert site.headers[0]["Accept-Encoding"] == "identity"


async def test_no_cookie_no_credential_and_no_proxy_of_the_environment_is_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_: web.Request) -> web.Response:
        response = web.json_response({})
        response.set_cookie("session", "1")
        return response

    site = await serve(answer)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with calls.session(Reach(LOOPBACK)) as session:
        for _ in range(2):
            await Caller(session).ask(call(site.url))
    for headers in site.headers:
        assert not {"Cookie", "Authorization"} & headers.keys()


LOCAL = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.0.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
]
OTHERS = [
    "10.0.0.7",
    "192.168.1.1",
    "172.20.0.1",
    "100.64.0.1",
    "8.8.8.8",
    "fd00::7",
    "2001:db8::1",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", LOCAL)
def test_a_local_address_gets_no_socket(address: str) -> None:
    with pytest.raises(reach.Refused, match="is a local address"):
        Reach().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize("address", OTHERS)
def test_addresses_of_a_cluster_and_of_the_world_get_one(address: str) -> None:
    Reach().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80))).close()


def test_a_local_network_that_is_allowed_gets_one_and_no_other() -> None:
    allowed = Reach((ip_network("127.0.0.0/8"), ip_network("fe80::/10")))
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "fe80::1%eth0"):
        allowed.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80))).close()
    with pytest.raises(reach.Refused):
        allowed.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("169.254.169.254", 80)))


WRITTEN = ["127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f.0.0.1", "localhost"]


@pytest.mark.parametrize("host", WRITTEN)
async def test_the_operators_own_machine_is_not_asked_however_it_is_written(serve: Serve, host: str) -> None:
    site = await serve(lambda _: answered({}))
    port = site.address.partition(":")[2]
    async with calls.session(Reach()) as session:
        said = await refusal(Caller(session), f"http://{host}:{port}/")
    assert "could not be asked" in said
    assert site.asked == []


async def test_a_name_that_stands_for_a_local_address_is_refused_when_it_is_used(serve: Serve) -> None:
    """Whatever the name stood for when somebody last looked."""
    site = await serve(lambda _: answered({}))
    port = site.address.partition(":")[2]
    async with calls.session(Reach(), resolved("127.0.0.1")) as session:
        said = await refusal(Caller(session), f"http://rebound.example.com:{port}/")
    assert said.startswith(f"rebound.example.com:{port} could not be asked: 127.0.0.1 is a local address")
    assert site.asked == []


async def test_of_several_addresses_the_allowed_one_is_asked(serve: Serve) -> None:
    site = await serve(lambda _: answered({"value": 1}))
    port = site.address.partition(":")[2]
    async with calls.session(Reach(LOOPBACK), resolved("169.254.169.254", "127.0.0.1")) as session:
        reply = await Caller(session).ask(call(f"http://several.example.com:{port}/"))
    assert reply.json() == {"value": 1}


HOSTS = ("prometheus.monitoring.svc", "*.ml.svc", "10.0.0.7")
LISTED = [
    ("prometheus.monitoring.svc", True),
    ("PROMETHEUS.monitoring.svc.", True),
    ("judge.ml.svc", True),
    ("a.judge.ml.svc", True),
    ("10.0.0.7", True),
    ("ml.svc", False),
    ("evil-ml.svc", False),
    ("prometheus.monitoring.svc.evil.example", False),
    ("10.0.0.8", False),
]


@pytest.mark.parametrize(("host", "is_listed"), LISTED)
def test_a_host_is_listed_by_name_or_below_a_suffix(host: str, is_listed: bool) -> None:
    assert reach.is_listed(host, HOSTS) is is_listed


async def test_a_host_that_is_not_listed_is_not_asked(serve: Serve, session: aiohttp.ClientSession) -> None:
    site = await serve(lambda _: answered({}))
    assert await refusal(Caller(session, HOSTS), site.url) == "127.0.0.1 is none of the hosts that analyses may ask"
    assert site.asked == []


ADDRESSES = [
    "",
    "ftp://a/",
    "file:///etc/passwd",
    "http://",
    "http://u:p@a/",
    "http://a:99999/",
    "unix:///x",
    "http://[::1/",
]


@pytest.mark.parametrize("url", ADDRESSES)
async def test_what_is_no_web_address_is_not_asked(caller: Caller, url: str) -> None:
    said = await refusal(caller, url)
    assert said.startswith("The address is no ")


@pytest.fixture
def silent_name_server() -> Iterator[tuple[Lookup, threading.Event]]:
    """Never answers for `hangs.example.com` until the event is set; every other name is this machine."""
    is_over = threading.Event()

    def question(host: str, port: int, family: int) -> list[Info]:
        if host == "hangs.example.com":
            is_over.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]

    yield Lookup(question), is_over
    is_over.set()


async def test_58_a_name_server_that_hangs_holds_up_nobody_else(
    serve: Serve, silent_name_server: tuple[Lookup, threading.Event]
) -> None:
    site = await serve(lambda _: answered({"value": 1}))
    port = site.address.partition(":")[2]
    lookup, _ = silent_name_server
    async with calls.session(Reach(LOOPBACK), lookup) as session:
        caller = Caller(session)
        hanging = [asyncio.create_task(caller.ask(call(f"http://hangs.example.com:{port}/"))) for _ in range(100)]
        reply = await caller.ask(call(f"http://answers.example.com:{port}/"))
        assert reply.json() == {"value": 1}
        assert not any(task.done() for task in hanging)
        assert "did not answer within" in await refusal(caller, f"http://hangs.example.com:{port}/", seconds=0.05)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_58_so_many_name_servers_that_hang_at_once_are_refused_and_not_waited_for(
    silent_name_server: tuple[Lookup, threading.Event],
) -> None:
    lookup, is_over = silent_name_server
    hanging = [asyncio.create_task(lookup.resolve("hangs.example.com", 80)) for _ in range(64)]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many names"):
        await lookup.resolve("answers.example.com", 80)
    is_over.set()
    assert [len(found) for found in await asyncio.gather(*hanging)] == [1] * 64
    assert await lookup.resolve("answers.example.com", 80)
