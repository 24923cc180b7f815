"""Puts load on a server from the other core, and takes what it cost."""

import json
import struct
import subprocess
from pathlib import Path

import grpc
import numpy as np

from benchmarks.runtime import models, outputs, servers
from benchmarks.runtime.contenders import Contender
from benchmarks.runtime.figures import Cell, Sample
from benchmarks.runtime.names import BINARY, GRPC
from benchmarks.runtime.servers import LOAD_CPU, Server
from modelway_runtime.rpc.messages import SERVICE, message

_ON_ITS_CORE = ["taskset", "--cpu-list", str(LOAD_CPU)]
_STREAMS = 4
"""Calls at a time on each connection over gRPC."""


class NoAnswer(Exception):
    """The server does not answer a request as it should."""


def measure(server: Server, contender: Contender, cell: Cell, seconds: float) -> Sample:
    """One cell in one round."""
    before = servers.cpu_seconds(server.pid)
    load = _calls(server, cell, seconds) if cell.way == GRPC else _requests(server, contender, cell, seconds)
    used = servers.cpu_seconds(server.pid) - before
    return Sample(
        per_second=load.per_second,
        cpu_us=used / max(1, load.requests) * 1e6,
        failed=load.failed,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
    )


def _requests(server: Server, contender: Contender, cell: Cell, seconds: float) -> outputs.Load:
    return outputs.wrk(_run(load_command(server, contender, cell, seconds)))


def load_command(server: Server, contender: Contender, cell: Cell, seconds: float) -> list[str]:
    """`wrk` on its core, for a cell over REST."""
    url = f"http://127.0.0.1:{server.port}{contender.path.format(model=cell.model)}"
    amount = ["-t1", f"-c{cell.connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "10s"]
    return [*_ON_ITS_CORE, "wrk", *amount, "-s", str(_script(contender, cell)), url]


def _calls(server: Server, cell: Cell, seconds: float) -> outputs.Load:
    check_call(server, cell.model)
    load = ["h2load", "-d", str(_call(cell.model)), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    amount = ["-c", str(cell.connections // _STREAMS), "-m", str(_STREAMS), "-D", str(max(1, round(seconds)))]
    url = f"http://127.0.0.1:{server.grpc_port}/{SERVICE}/ModelInfer"
    return outputs.h2load(_run([*_ON_ITS_CORE, *load, *amount, url]))


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def _script(contender: Contender, cell: Cell) -> Path:
    """What `wrk` sends, in its own language; bytes as decimal escapes."""
    if cell.way == BINARY:
        header, tensor = binary(cell.model)
        body = header + tensor
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))}
    else:
        body, headers = contender.body(cell.model).encode(), {"Content-Type": "application/json"}
    lines = [
        'wrk.method = "POST"',
        *(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()),
        'wrk.body = "' + "".join(f"\\{byte:03d}" for byte in body) + '"',
    ]
    return _written(f"{contender.label} {cell.model} {cell.way}.lua", "\n".join(lines).encode())


def binary(model: str) -> tuple[bytes, bytes]:
    """A V2 request of one row with its tensor behind the JSON, which asks for an answer of the same kind."""
    tensor = np.array(models.row(model), dtype=np.float32).tobytes()
    described = {
        "name": "X",
        "shape": [1, models.WIDTHS[model]],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(tensor)},
    }
    return json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode(), tensor


def _message(model: str) -> bytes:
    asked = message("ModelInferRequest")(model_name=model)
    asked.inputs.add(name="X", datatype="FP32", shape=[1, models.WIDTHS[model]])
    asked.raw_input_contents.append(np.array(models.row(model), dtype=np.float32).tobytes())
    payload: bytes = asked.SerializeToString()
    return payload


def _call(model: str) -> Path:
    """A call as it stands in an HTTP/2 stream: a flag, the length, the message."""
    payload = _message(model)
    return _written(f"{model}.call", b"\0" + struct.pack(">I", len(payload)) + payload)


def check_call(server: Server, model: str) -> None:
    """`h2load` reads no status of gRPC, so one call is made whose status counts; raises NoAnswer."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        try:
            answer = channel.unary_unary(f"/{SERVICE}/ModelInfer")(_message(model), timeout=20)
        except grpc.RpcError as failure:
            raise NoAnswer(f"gRPC: {failure.code().name}: {failure.details()}"[:200]) from failure
    if not answer:
        raise NoAnswer("gRPC: an empty answer")


def _written(name: str, content: bytes) -> Path:
    path = servers.cache() / "requests" / name.replace(" ", "-").replace(",", "")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
