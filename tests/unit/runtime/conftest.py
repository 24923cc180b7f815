"""Models made once, a server in a process of its own, and a store on the loopback."""

import functools
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import joblib
import numpy as np
import pytest
import skops.io
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[2] / "runtime-image" / "src"
_DEADLINE = 60.0


@pytest.fixture(autouse=True, scope="session")
def quiet_libraries() -> None:
    """As the runtime does before it imports them."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind of model that the tests need."""
    root = tmp_path_factory.mktemp("models")
    features, labels = load_iris(return_X_y=True)
    classifier = LogisticRegression(max_iter=1000).fit(features, labels)
    words = LogisticRegression(max_iter=1000).fit(features, np.array(["red", "green", "blue"])[labels])
    sample = features[:1].astype(np.float32)
    files = {
        "iris/model.onnx": to_onnx(classifier, sample, options={"zipmap": False}).SerializeToString(),
        "zipmap/model.onnx": to_onnx(classifier, sample).SerializeToString(),
        "identity/model.onnx": _identity().SerializeToString(),
        "fixed/model.onnx": _identity(rows=1).SerializeToString(),
        "pairs/model.onnx": _product(["N", 2], ["N", "N"]).SerializeToString(),
        "open/model.onnx": _product(None, None).SerializeToString(),
        "digits/model.onnx": _digits().SerializeToString(),
    }
    files["truncated/model.onnx"] = files["iris/model.onnx"][:200]
    files["text/model.onnx"] = b"<html>Not Found</html>"
    files["empty/model.onnx"] = b""
    for name, content in files.items():
        (root / name).parent.mkdir()
        (root / name).write_bytes(content)
    for name in ("skops", "words", "regressor", "joblib", "gated", "truncated-skops"):
        (root / name).mkdir()
    skops.io.dump(classifier, root / "skops/model.skops")
    skops.io.dump(words, root / "words/model.skops")
    skops.io.dump(LinearRegression().fit(features, labels), root / "regressor/model.skops")
    (root / "truncated-skops/model.skops").write_bytes((root / "skops/model.skops").read_bytes()[:500])
    joblib.dump(classifier, root / "joblib/model.joblib")
    # Its class must have the name under which the server can import it.
    dump = "import sys, joblib, gated_model; joblib.dump(gated_model.GatedModel(), sys.argv[1])"
    command = [sys.executable, "-c", dump, str(root / "gated/model.joblib")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(HERE)})
    return root


def _identity(rows: int | None = None) -> Any:
    """One output for each input, of the datatypes that JSON can hold."""
    types = {
        "FP32": TensorProto.FLOAT,
        "FP64": TensorProto.DOUBLE,
        "FP16": TensorProto.FLOAT16,
        "INT64": TensorProto.INT64,
        "INT8": TensorProto.INT8,
        "UINT64": TensorProto.UINT64,
        "BOOL": TensorProto.BOOL,
        "BYTES": TensorProto.STRING,
    }
    nodes = [helper.make_node("Identity", [name], [f"{name}_OUT"]) for name in types]
    shape = [rows or "N", 2]
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, kind in types.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_OUT", kind, shape) for name, kind in types.items()]
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def _product(taken: list[Any] | None, given: list[Any] | None) -> Any:
    """Each row times each row: its answer to two rows is not two answers."""
    nodes = [helper.make_node("Transpose", ["X"], ["T"]), helper.make_node("MatMul", ["X", "T"], ["Y"])]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, taken)]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, given)]
    graph = helper.make_graph(nodes, "product", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def _digits() -> Any:
    """Numbers from strings; an empty string is none."""
    nodes = [helper.make_node("Cast", ["X"], ["Y"], to=TensorProto.INT32)]
    inputs = [helper.make_tensor_value_info("X", TensorProto.STRING, ["N", 1])]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.INT32, ["N", 1])]
    graph = helper.make_graph(nodes, "digits", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


@dataclass(slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Runtime:
    """A `modelway-runtime serve` or `compare` process."""

    process: subprocess.Popen[str]
    termination_log: Path
    output: Path
    """What it wrote to standard output."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    ports: tuple[int, int] = (0, 0)
    grpc_port: int = 0

    def get(self, path: str, *, internal: bool = False, method: str = "GET") -> Answer:
        return self._request(self.ports[internal], method, path, None, {})

    def infer(self, body: Any, model: str = "iris", headers: Mapping[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._request(self.ports[0], "POST", f"/v2/models/{model}/infer", raw, headers or {})

    def post(self, path: str, content: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return self._request(self.ports[0], "POST", path, content, headers or {})

    def wait_until_ready(self) -> "Runtime":
        wait_for(lambda: self.process.poll() is not None or self.get("/v2/health/ready").status == 200)
        assert self.process.poll() is None, self.lines
        return self

    def end(self) -> int:
        """SIGTERM, then the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_DEADLINE)

    @property
    def termination(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.termination_log.read_text())
        return found

    def metrics(self) -> dict[str, float]:
        lines = self.get("/metrics", internal=True).body.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}

    @staticmethod
    def _request(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()


def wait_for(condition: Callable[[], Any]) -> Any:
    """The condition's value once it is true."""
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.01)
    raise AssertionError("the condition never became true")


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    return wait_for


Start = Callable[..., Runtime]


@contextmanager
def _servers(folder: Path) -> Iterator[Start]:
    """Starts servers as a pod does: after a fetch, with settings from the environment; ends them all."""
    with ExitStack() as stack:

        def start(model: Path, **settings: str) -> Runtime:
            place = _fetched(folder, model)
            return stack.enter_context(_served(place, settings))

        yield start


def _fetched(folder: Path, model: Path) -> Path:
    """A pod's volumes after `fetch`."""
    place = folder / f"pod-{len(list(folder.iterdir()))}"
    place.mkdir()
    fetching = _run(["fetch"], _environ(place, {"model_uri": str(model)}))
    log = fetching.communicate()[1]
    assert fetching.returncode == 0, log
    return place


@contextmanager
def _served(place: Path, settings: Mapping[str, str], command: str = "serve") -> Iterator[Runtime]:
    environ = _environ(place, settings)
    output = place.with_name(f"{place.name}-output")
    with output.open("ab") as stream:
        process = _run([command], environ, stream)
    runtime = Runtime(process, Path(environ["MODELWAY_TERMINATION_LOG"]), output)
    reader = threading.Thread(target=_read_log, args=(runtime,))
    reader.start()
    try:
        wait_for(lambda: runtime.ports[0] or process.poll() is not None)
        yield runtime
    finally:
        process.kill()
        process.wait()
        reader.join()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of a model's folder, with settings."""
    folder = tmp_path / "pods"
    folder.mkdir()
    with _servers(folder) as start:
        yield start


@pytest.fixture(scope="session")
def serve_in() -> Callable[[Path], AbstractContextManager[Start]]:
    """The same for fixtures of a wider scope."""
    return _servers


@pytest.fixture
def fetched(tmp_path: Path) -> Callable[[Path], Path]:
    """A pod's volumes after `fetch` of a model's folder."""
    return functools.partial(_fetched, tmp_path)


@pytest.fixture
def serve_fetched() -> Iterator[Start]:
    """Starts a server on such volumes."""
    with ExitStack() as stack:
        yield lambda place, **settings: stack.enter_context(_served(place, settings))


@pytest.fixture
def compare(tmp_path: Path) -> Iterator[Start]:
    """Starts a comparator with settings."""
    place = tmp_path / "comparator"
    place.mkdir()
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(_served(place, settings, "compare"))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Start]:
    """Starts a gate with settings, each with a volume of its own, or beside what was fetched to one."""
    with ExitStack() as stack:

        def start(place: Path | None = None, **settings: str) -> Runtime:
            own = place or tmp_path / f"gate-{len(list(tmp_path.iterdir()))}"
            own.mkdir(exist_ok=True)
            return stack.enter_context(_served(own, settings, "gate"))

        yield start


def _environ(place: Path, settings: Mapping[str, str]) -> dict[str, str]:
    log = place / "termination-log"
    log.touch()
    own = {
        "MODELWAY_MODEL_NAME": "iris",
        "MODELWAY_MODEL_PATH": str(place / "model"),
        "MODELWAY_GOLDEN_PATH": str(place / "requests.json"),
        "MODELWAY_TERMINATION_LOG": str(log),
        "MODELWAY_HOST": "127.0.0.1",
        "MODELWAY_PORT": "0",
        "MODELWAY_METRICS_PORT": "0",
        "MODELWAY_GRPC_PORT": "0",
        "MODELWAY_GATE_PORT": "0",
        "MODELWAY_DRAIN": "0s",
        "MODELWAY_TRUST": "Any",
        "HOME": str(place),
        "TMPDIR": str(place),
        "PYTHONPATH": os.pathsep.join((str(HERE), str(SOURCES))),
        "PYTHONWARNINGS": "error",
    }
    named = {name if name.isupper() else f"MODELWAY_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, **own, **named}


def _run(arguments: list[str], environ: Mapping[str, str], output: BinaryIO | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modelway_runtime", *arguments]
    return subprocess.Popen(command, env=dict(environ), stdout=output, stderr=subprocess.PIPE, text=True)


def _read_log(runtime: Runtime) -> None:
    assert runtime.process.stderr is not None
    with runtime.process.stderr as stream:
        for line in stream:
            runtime.lines.append(json.loads(line) if line.startswith("{") else {"message": line})
            if runtime.lines[-1]["message"] == "Listening":
                runtime.grpc_port = runtime.lines[-1].get("grpcPort", 0)
                runtime.ports = (runtime.lines[-1]["port"], runtime.lines[-1]["metricsPort"])


@dataclass(slots=True)
class Store:
    """A web server that also speaks as much of S3 as a fetch needs. A path's fault is a status, or words:

    `cut`: promises ten bytes more than come; `cut at 7`: closes the connection before byte 7 of the file;
    `no ranges`: answers with the whole file; `no version`: without ETag and time; `slow`: a byte at a time;
    `moved`: the answer after this one is of another file; `to URL`: a redirect.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    heads: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def store() -> Iterator[Store]:
    held = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (StoreHandler,), {"held": held}))
    held.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


class StoreHandler(BaseHTTPRequestHandler):
    """Answers for the store whose class attribute is set."""

    held: Store
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.held.asked.append(f"{self.command} {self.path}")
        self.held.heads.append(dict(self.headers.items()))
        if "list-type=2" in query:
            self._list(path, query)
            return
        faults = self.held.faults.get(path)
        fault = (faults.pop(0) if len(faults) > 1 else faults[0]) if faults else 200
        content = self.held.files.get(path)
        if isinstance(fault, int) and fault != 200:
            self._answer(fault, b"<Error><Code>Fault</Code></Error>")
        elif str(fault).startswith("to "):
            self.send_response(302)
            self.send_header("Location", str(fault).removeprefix("to "))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._send(content, str(fault))
            if fault == "moved":
                self.held.files[path] = content[::-1]

    def _send(self, content: bytes, fault: str) -> None:
        """The file or the range asked for, with the fault."""
        tag = f'"{_tag(content)}"'
        if self.headers.get("If-Match", tag) != tag:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        has_range = span and fault != "no ranges" and self.headers.get("If-Range", tag) == tag
        start = int(span[1]) if span and has_range else 0
        stop = min(int(span[2]) + 1, len(content)) if span and has_range and span[2] else len(content)
        if start >= len(content) and has_range:
            self._answer(416, b"")
            return
        self.held.spans.append(f"{start}-{stop}")
        self.send_response(206 if has_range else 200)
        self.send_header("Content-Length", str(stop - start + (10 if fault == "cut" else 0)))
        if has_range:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        if fault != "no version":
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command != "GET":
            return
        if fault.startswith("cut at "):
            stop = max(start, min(stop, int(fault.removeprefix("cut at "))))
        self.close_connection = fault.startswith("cut")
        step = 1 if fault == "slow" else max(1, stop - start)
        for offset in range(start, stop, step):
            self.wfile.write(content[offset : min(stop, offset + step)])

    def _list(self, path: str, query: str) -> None:
        fault = self.held.faults.get(path)
        if fault:
            status, _, code = str(fault[0]).partition(" ")
            self._answer(int(status), f"<Error><Code>{code}</Code></Error>".encode())
            return
        wanted = query.partition("prefix=")[2].partition("&")[0].replace("%2F", "/")
        keys = [
            f"<Contents><Key>{key.removeprefix(path + '/')}</Key><Size>{len(content)}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{_tag(content)}</ETag></Contents>"
            for key, content in self.held.files.items()
            if key.removeprefix(path + "/").startswith(wanted)
        ]
        self._answer(200, f"<ListBucketResult>{''.join(keys)}</ListBucketResult>".encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _tag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
