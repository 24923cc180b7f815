"""The comparator as a pod runs it: a process of its own between a caller and two revisions, all on the loopback."""

import gzip
import json
import math
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]
Reply = Callable[[Any], bytes | int]

INFER = "/v2/models/iris/infer"
HELD = tuple(f'modelway_runtime_compare_{what}_held{{candidate="bbb",stable="aaa"}}' for what in ("requests", "bytes"))
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}


def _answer(label: Any, *, name: str = "label") -> bytes:
    datatype = "BYTES" if isinstance(label, str) else "INT64"
    return json.dumps({"outputs": [{"name": name, "datatype": datatype, "shape": [1], "data": [label]}]}).encode()


@dataclass(slots=True)
class Revision:
    """A small web server that answers as it is told, once its gate is open; it keeps what it was asked."""

    reply: Reply
    port: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class RevisionHandler(BaseHTTPRequestHandler):
    """Answers for the revision whose class attribute is set."""

    revision: Revision

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.revision.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.revision.gate.wait()
        told = self.revision.reply(json.loads(body))
        content, status = (told, 200) if isinstance(told, bytes) else (b'{"error": "told to"}', told)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # A comparator that gave up has closed the connection.
        try:
            self.wfile.write(content)
        except ConnectionError:
            pass


@pytest.fixture
def revision() -> Iterator[Callable[[Reply], Revision]]:
    """Starts revisions; their gates are open unless a test closes them."""
    with ExitStack() as stack:

        def start(reply: Reply) -> Revision:
            made = Revision(reply)
            made.gate.set()
            server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (RevisionHandler,), {"revision": made}))
            server.daemon_threads = True
            made.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            stack.callback(made.gate.set)
            return made

        yield start


@pytest.fixture
def between(compare: Start, eventually: Eventually) -> Start:
    """Starts a comparator between two revisions; quick and without baseline unless a test says otherwise."""

    def start(stable: str, candidate: str, **settings: str) -> Any:
        usual = {"max_requests_per_second": "100000", "max_queue": "5000", "baseline_percent": "0"}
        urls = {"stable_url": stable, "candidate_url": candidate}
        hashes = {"stable_revision": "aaa", "candidate_revision": "bbb"}
        comparator = compare(**{**usual, **urls, **hashes, **settings})
        eventually(lambda: comparator.ports[0])
        return comparator

    return start


def _figures(comparator: Any) -> dict[str, Any]:
    found: dict[str, Any] = comparator.get("/internal/figures", internal=True).json
    return found


def _ended(comparator: Any) -> int:
    """Requests of which it is known what came."""
    found = _figures(comparator)
    counts = ("pairs", "dropped", "failures", "candidateFailures")
    return sum(found[name] for name in counts) + sum(found["ignored"].values())


def _mirror(comparator: Any, count: int, headers: Mapping[str, str] | None = None) -> None:
    """So many requests over a few connections, each with a number; all are taken."""
    bodies = [{**ROW, "id": str(number)} for number in range(count)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: comparator.infer(body, headers=headers), bodies))
    assert {answer.status for answer in answers} == {202}


def _within(hits: int, total: int, share: float, deviations: float = 5.0) -> bool:
    """Whether a count lies so near to its expectation; beyond five standard deviations is one in a million."""
    return abs(hits - total * share) <= deviations * math.sqrt(total * share * (1 - share))


def test_the_candidate_is_asked_when_stable_has_answered(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda _: _answer("a")), revision(lambda _: _answer("a"))
    stable.gate.clear()
    comparator = between(stable.url, candidate.url)
    _mirror(comparator, 1)
    eventually(lambda: stable.asked)
    assert candidate.asked == []
    stable.gate.set()
    eventually(lambda: _figures(comparator)["pairs"] == 1)
    assert len(candidate.asked) == 1


def test_planted_label_flips_are_reported_one_by_one(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    lots = random.Random(20)
    flipped = {str(number) for number in range(1000) if lots.random() < 0.02}
    stable = revision(lambda body: _answer("yes"))
    candidate = revision(lambda body: _answer("no" if body["id"] in flipped else "yes"))
    comparator = between(stable.url, candidate.url, baseline_percent="10")
    _mirror(comparator, 1000)
    eventually(lambda: _ended(comparator) == 1000)
    found = _figures(comparator)
    assert _within(found["disagreements"], 1000, 0.02, deviations=1.96)
    assert (found["pairs"], found["disagreements"], found["kinds"]) == (1000, len(flipped), {"class": len(flipped)})
    assert found["baselineDisagreements"] == 0
    assert _within(found["baselinePairs"], 1000, 0.10)
    assert (found["dropped"], found["failures"], found["candidateFailures"]) == (0, 0, 0)
    assert (found["stable"], found["candidate"], found["state"]) == ("aaa", "bbb", "Ready")
    assert re.fullmatch("[0-9a-f]{16}", found["run"])
    assert len(found["examples"]) == 10
    assert all(
        {**example, "id": ""} == {"id": "", "output": "label", "kind": "class", "stable": "yes", "candidate": "no"}
        for example in found["examples"]
    )


def test_two_servers_of_the_same_model_never_disagree_and_count_no_callers(
    between: Start, serve: Start, models: Path, eventually: Eventually
) -> None:
    stable, candidate = (serve(models / "iris", revision=name).wait_until_ready() for name in ("aaa", "bbb"))
    urls = [f"http://127.0.0.1:{one.ports[0]}" for one in (stable, candidate)]
    comparator = between(*urls, baseline_percent="100")
    _mirror(comparator, 200)
    eventually(lambda: _ended(comparator) == 200)
    found = _figures(comparator)
    assert (found["pairs"], found["disagreements"], found["examples"]) == (200, 0, [])
    assert (found["baselinePairs"], found["baselineDisagreements"]) == (200, 0)
    figures = [one.get("/internal/figures", internal=True).json for one in (stable, candidate)]
    assert [one["requests"] for one in figures] == [0, 0]
    assert [one["shadow"] for one in figures] == [400, 200]


@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        ("/v1/models/iris:predict", b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}', {}),
        ("/v1/models/iris:predict", b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}', {}),
        ("/invocations", b'{"dataframe_split": {"data": [[5.1, 3.5, 1.4, 0.2]]}}', {}),
        ("/invocations", b"5.1,3.5,1.4,0.2\n", {"Content-Type": "text/csv", "Accept": "text/csv"}),
    ],
    ids=["rows", "columns", "split", "csv"],
)
def test_v1_and_invocations_are_compared_and_count_no_callers(
    between: Start,
    serve: Start,
    models: Path,
    eventually: Eventually,
    path: str,
    content: bytes,
    headers: Mapping[str, str],
) -> None:
    stable, candidate = (serve(models / "iris", revision=name).wait_until_ready() for name in ("aaa", "bbb"))
    comparator = between(*(f"http://127.0.0.1:{one.ports[0]}" for one in (stable, candidate)), baseline_percent="100")
    assert {comparator.post(path, content, headers=headers).status for _ in range(20)} == {202}
    assert comparator.post(path, content[:9], headers=headers).status == 202
    eventually(lambda: _ended(comparator) == 21)
    found = _figures(comparator)
    assert (found["pairs"], found["disagreements"], found["baselineDisagreements"]) == (20, 0, 0)
    # Nine bytes of CSV are a request that both refuse.
    assert sum(found["ignored"].values()) == 1
    figures = [one.get("/internal/figures", internal=True).json for one in (stable, candidate)]
    assert [one["requests"] for one in figures] == [0, 0]
    assert all(one["shadow"] >= 20 for one in figures)


def test_another_prediction_of_v1_is_told(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable = revision(lambda body: b'{"predictions": [{"label": "yes"}]}')
    candidate = revision(lambda body: b'{"predictions": [{"label": "no"}]}')
    comparator = between(stable.url, candidate.url)
    comparator.post("/v1/models/iris:predict", b'{"instances": [[1]]}', headers={"x-request-id": "r-1"})
    eventually(lambda: _ended(comparator) == 1)
    example = {"id": "r-1", "output": "label", "kind": "class", "stable": "yes", "candidate": "no"}
    assert _figures(comparator)["examples"] == [example]
    assert [path for path, *_ in (*stable.asked, *candidate.asked)] == ["/v1/models/iris:predict"] * 2


def test_another_interface_is_a_disagreement_of_the_schema(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer("yes")), revision(lambda body: _answer(1))
    comparator = between(stable.url, candidate.url)
    _mirror(comparator, 1, {"x-request-id": "r-1"})
    eventually(lambda: _ended(comparator) == 1)
    found = _figures(comparator)
    assert (found["disagreements"], found["kinds"]) == (1, {"schema": 1})
    assert found["examples"] == [
        {"id": "r-1", "output": "label", "kind": "schema", "stable": "BYTES [1]", "candidate": "INT64 [1]"}
    ]


def test_a_noisy_model_disagrees_with_itself_as_much(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    lots = random.Random(20)
    one, other = (revision(lambda body: _answer(int(lots.random() < 0.3))) for _ in range(2))
    comparator = between(one.url, other.url, baseline_percent="100")
    _mirror(comparator, 400)
    eventually(lambda: _ended(comparator) == 400)
    found = _figures(comparator)
    share = 2 * 0.3 * 0.7
    assert (found["pairs"], found["baselinePairs"]) == (400, 400)
    assert _within(found["disagreements"], 400, share)
    assert _within(found["baselineDisagreements"], 400, share)


def test_what_is_too_much_is_dropped_and_counted_while_every_caller_is_answered(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    candidate.gate.clear()
    comparator = between(stable.url, candidate.url, max_concurrent="1", max_queue="2", request_timeout="60s")
    # None of these waits for the candidate: it answers nobody yet.
    _mirror(comparator, 10)
    assert _figures(comparator)["dropped"] == 7
    candidate.gate.set()
    eventually(lambda: _ended(comparator) == 10)
    assert _figures(comparator)["pairs"] == 3
    assert len(candidate.asked) == 3
    metrics = comparator.metrics()
    assert metrics['modelway_runtime_compare_dropped_total{candidate="bbb",reason="queue",stable="aaa"}'] == 7
    assert metrics['modelway_runtime_compare_pairs_total{candidate="bbb",stable="aaa"}'] == 3
    assert [metrics[name] for name in HELD] == [0, 0]


def test_no_more_requests_a_second_than_asked_for_are_compared(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    comparator = between(stable.url, candidate.url, max_requests_per_second="5")
    before = _figures(comparator)["uptimeSeconds"]
    _mirror(comparator, 200)
    eventually(lambda: _ended(comparator) == 200)
    found = _figures(comparator)
    assert 5 <= found["pairs"] <= 5 + 5 * found["uptimeSeconds"]
    assert found["pairs"] + found["dropped"] == 200
    assert found["uptimeSeconds"] > before


def test_a_candidate_that_hangs_costs_bounded_memory(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    candidate.gate.clear()
    comparator = between(stable.url, candidate.url, max_held_bytes="2M", request_timeout="60s")
    big = json.dumps({**ROW, "id": "x" * 500_000}).encode()
    before = comparator.metrics()["process_resident_memory_bytes"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(comparator.infer, [big] * 200))
    assert {answer.status for answer in answers} == {202}
    after = comparator.metrics()
    assert after["process_resident_memory_bytes"] - before < 30e6, "100 MB were sent"
    assert after[HELD[1]] <= 2e6
    assert _figures(comparator)["dropped"] == 197
    candidate.gate.set()
    eventually(lambda: _ended(comparator) == 200)


def test_an_ask_that_takes_too_long_is_given_up(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    candidate.gate.clear()
    comparator = between(stable.url, candidate.url, request_timeout="300ms")
    _mirror(comparator, 3)
    eventually(lambda: _figures(comparator)["candidateFailures"] == 3)
    candidate.gate.set()
    _mirror(comparator, 1)
    eventually(lambda: _ended(comparator) == 4)
    assert (_figures(comparator)["pairs"], _figures(comparator)["disagreements"]) == (1, 0)
    assert _failures(comparator) == {("candidate", "timeout"): 3}


def test_the_caller_s_secrets_and_the_headers_of_the_connection_are_kept_back(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    comparator = between(stable.url, candidate.url)
    sent = {
        "Authorization": "Bearer secret",
        "Cookie": "session=secret",
        "Proxy-Authorization": "Basic secret",
        "Connection": "keep-alive, X-Hop",
        "Keep-Alive": "timeout=5",
        "X-Hop": "secret",
        "TE": "trailers",
        "Accept-Encoding": "gzip",
        "X-Request-Id": "42",
        "X-Tenant": "blue",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "Content-Type": "application/json",
    }
    body = json.dumps(ROW).encode()
    answer = comparator._request(comparator.ports[0], "POST", f"{INFER}?a=1", body, sent)
    assert answer.status == 202
    eventually(lambda: _ended(comparator) == 1)
    for asked in (stable, candidate):
        ((path, headers, content),) = asked.asked
        assert (path, content) == (f"{INFER}?a=1", body)
        assert headers == {
            "host": f"127.0.0.1:{asked.port}",
            "connection": "close",
            "accept-encoding": "identity",
            "content-length": str(len(body)),
            "content-type": "application/json",
            "modelway-shadow": "1",
            "traceparent": sent["Traceparent"],
            "x-request-id": "42",
            "x-tenant": "blue",
        }


def test_a_request_without_an_id_gets_one_for_both_revisions(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(2))
    comparator = between(stable.url, candidate.url)
    _mirror(comparator, 2)
    eventually(lambda: _ended(comparator) == 2)
    ids = [{headers["x-request-id"] for _, headers, _ in one.asked} for one in (stable, candidate)]
    assert ids[0] == ids[1] == {example["id"] for example in _figures(comparator)["examples"]}
    assert len(ids[0]) == 2


def test_what_needs_no_comparison_is_counted_and_nobody_is_asked(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    comparator = between(stable.url, candidate.url, max_body_bytes="1k", request_timeout="1s")
    loop = comparator.infer(ROW, headers={"modelway-shadow": "1"})
    assert (loop.status, loop.json["error"][:38]) == (508, "this request comes from a comparator; ")
    large = comparator.infer(b"[" * 2000)
    assert (large.status, large.headers["connection"]) == (413, "close")
    assert comparator.infer(b'{"inputs"').status == 202
    assert comparator.infer({"instances": []}).status == 202
    assert comparator.get("/v2/models/iris").status == 202
    assert comparator.get("/v2/models/iris/infer").status == 202
    with socket.create_connection(("127.0.0.1", comparator.ports[0]), timeout=60) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    with socket.create_connection(("127.0.0.1", comparator.ports[0]), timeout=60) as connection:
        chunks = b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 0xFFF
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\n" + chunks)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
    eventually(lambda: _ended(comparator) == 8)
    ignored = {"marked": 1, "body-size": 2, "malformed": 2, "no-inference": 2, "slow-body": 1}
    assert _figures(comparator)["ignored"] == ignored
    assert not stable.asked + candidate.asked
    metrics = comparator.metrics()
    assert [metrics[name] for name in HELD] == [0, 0]


def test_a_caller_that_leaves_in_mid_body_gives_its_room_back(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    comparator = between(stable.url, candidate.url)
    with socket.create_connection(("127.0.0.1", comparator.ports[0])) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        eventually(lambda: comparator.metrics()[HELD[0]] == 1)
    eventually(lambda: comparator.metrics()[HELD[0]] == 0)
    assert _ended(comparator) == 0


def test_a_connection_goes_on_after_a_request_that_was_dropped_unread(
    between: Start, revision: Callable[[Reply], Revision]
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    comparator = between(stable.url, candidate.url, max_held_bytes="1k")
    body = b" " * 1_000_000 + json.dumps(ROW).encode()
    request = b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", comparator.ports[0]), timeout=60) as connection:
        connection.sendall(request * 3 + b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b'{"live":true}' not in received:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    assert received.count(b"HTTP/1.1 202") == 3
    assert _figures(comparator)["dropped"] == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(lambda body: 500, "status", id="500"),
        pytest.param(lambda body: 429, "status", id="429"),
        pytest.param(lambda body: b"<html>", "unreadable", id="no JSON"),
        pytest.param(lambda body: b'{"predictions": [1]}', "unreadable", id="another protocol"),
        pytest.param(lambda body: b" " * 2_000_000, "size", id="too large"),
    ],
)
def test_an_answer_that_cannot_be_compared_is_a_failure_of_its_side(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually, reply: Reply, reason: str
) -> None:
    right, wrong = revision(lambda body: _answer(1)), revision(reply)
    for urls, side, name in (
        ((right.url, wrong.url), "candidate", "candidateFailures"),
        ((wrong.url, right.url), "stable", "failures"),
    ):
        comparator = between(*urls, max_body_bytes="1M", baseline_percent="100")
        _mirror(comparator, 2)
        eventually(lambda comparator=comparator: _ended(comparator) == 2)
        found = _figures(comparator)
        assert (found[name], found["failures"] + found["candidateFailures"]) == (2, 2)
        assert (found["pairs"], found["disagreements"]) == (0, 0)
        assert found["baselinePairs"] == (2 if side == "candidate" else 0)
        assert _failures(comparator) == {(side, reason): 2}
        comparator.process.kill()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", "protocol", id="no HTTP"),
        pytest.param(b"HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "protocol", id="upgrade"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "connection", id="broken off"),
        pytest.param(b"", "connection", id="nothing"),
    ],
)
def test_what_speaks_no_http_or_breaks_off_is_a_failure(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually, said: bytes, reason: str
) -> None:
    stable = revision(lambda body: _answer(1))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        comparator = between(stable.url, f"http://127.0.0.1:{server.getsockname()[1]}")
        _mirror(comparator, 1)
        eventually(lambda: _ended(comparator) == 1)
        thread.join()
    assert _failures(comparator) == {("candidate", reason): 1}


def test_a_dead_candidate_is_a_failure_and_two_dead_revisions_are_nothing(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable = revision(lambda body: _answer(1))
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    comparator = between(stable.url, dead)
    _mirror(comparator, 3)
    eventually(lambda: _ended(comparator) == 3)
    assert _failures(comparator) == {("candidate", "connection"): 3}
    comparator = between(dead, dead)
    _mirror(comparator, 3)
    eventually(lambda: _ended(comparator) == 3)
    assert _figures(comparator)["ignored"] == {"both-failed": 3}


def test_an_interim_answer_and_a_chunked_one_are_read(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable = revision(lambda body: _answer(1))
    body = _answer(1)
    head = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:10], body[10:])) + b"0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + chunks)
                connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        comparator = between(stable.url, f"http://127.0.0.1:{server.getsockname()[1]}")
        _mirror(comparator, 1)
        eventually(lambda: _ended(comparator) == 1)
        thread.join()
    assert (_figures(comparator)["pairs"], _figures(comparator)["disagreements"]) == (1, 0)


def test_redacted_examples_hold_nothing_of_callers_or_models_but_names(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = (revision(lambda body, text=text: _answer(text, name="answer")) for text in ("jane", "john"))
    comparator = between(stable.url, candidate.url, redact="true")
    _mirror(comparator, 1, {"x-request-id": "jane"})
    eventually(lambda: _ended(comparator) == 1)
    assert _figures(comparator)["examples"] == [{"output": "answer", "kind": "text"}]
    everything = comparator.get("/internal/figures", internal=True).body
    everything += comparator.get("/metrics", internal=True).body + json.dumps(comparator.lines).encode()
    assert b"jane" not in everything
    assert b"john" not in everything


def test_sigterm_lets_what_runs_come_to_its_end_and_drops_what_waits(
    between: Start, revision: Callable[[Reply], Revision], eventually: Eventually
) -> None:
    stable, candidate = revision(lambda body: _answer(1)), revision(lambda body: _answer(1))
    candidate.gate.clear()
    comparator = between(stable.url, candidate.url, drain="2s", max_concurrent="1", request_timeout="60s")
    assert comparator.get("/v2/health/ready").status == 200
    assert comparator.get("/internal/state", internal=True).json == {"state": "Ready"}
    _mirror(comparator, 3)
    eventually(lambda: len(candidate.asked) == 1)
    comparator.process.send_signal(signal.SIGTERM)
    eventually(lambda: comparator.get("/v2/health/ready").status == 503)
    assert comparator.get("/internal/state", internal=True).json == {"state": "Draining"}
    late = comparator.infer(ROW)
    assert (late.status, late.headers["connection"]) == (202, "close")
    eventually(lambda: any(line["message"] == "Stopped listening" for line in comparator.lines))
    assert comparator.process.poll() is None
    candidate.gate.set()
    assert comparator.process.wait(60) == 0
    assert comparator.termination["reason"] == "Completed"
    assert len(candidate.asked) == 1
    ended = comparator.lines[-1]
    assert (ended["message"], ended["pairs"], ended["dropped"]) == ("Ended", 1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "MODELWAY_STABLE_URL: '' is no base URL"),
        (("--stable", "https://a"), "'https://a' is no base URL; write for example http://localhost"),
        (("--stable", "http://a", "--candidate", "http://b/v2"), "MODELWAY_CANDIDATE_URL: 'http://b/v2'"),
        (("--stable", "http://a", "--candidate", "http://b", "--tolerance-relative", "nan"), "at least 0"),
        (("--stable", "http://a", "--candidate", "http://b", "--baseline-percent", "101"), "from 0 to 100"),
        (("--stable", "http://a", "--candidate", "http://b", "--redact", "yes"), "'yes' is not true or false"),
        (("--stable", "http://a", "--candidate", "http://b", "--max-concurrent", "0"), "at least 1"),
        (("--stable", "http://a:b", "--candidate", "http://b"), "MODELWAY_STABLE_URL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_told_on_one_line(arguments: tuple[str, ...], message: str) -> None:
    command = [sys.executable, "-m", "modelway_runtime", "compare", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr


def _failures(comparator: Any) -> dict[tuple[str, str], float]:
    """Counts by side and reason."""
    found = {}
    for name, value in comparator.metrics().items():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', name))
        if name.startswith("modelway_runtime_compare_failures_total"):
            found[labels["side"], labels["reason"]] = value
    return found


def test_binary_and_compressed_requests_are_compared_by_their_values(
    between: Start, models: Path, serve: Start, eventually: Eventually
) -> None:
    stable, candidate = (serve(models / name).wait_until_ready() for name in ("iris", "iris"))
    comparator = between(*(f"http://127.0.0.1:{one.ports[0]}" for one in (stable, candidate)))
    content = struct.pack("<4f", 5.1, 3.5, 1.4, 0.2)
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": len(content)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    comparator.infer(head + content, headers=length)
    comparator.infer(content, headers={"Inference-Header-Content-Length": "0"})
    comparator.infer(gzip.compress(head + content), headers={**length, "Content-Encoding": "gzip"})
    comparator.infer(b"\0" + content, headers={"Content-Encoding": "gzip"})
    eventually(lambda: _ended(comparator) == 4)
    found = _figures(comparator)
    assert (found["pairs"], found["disagreements"], found["ignored"]) == (3, 0, {"malformed": 1})
