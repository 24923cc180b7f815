"""Who is measured: how each server is started on the same models, and how it is asked."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runtime import environments, models
from benchmarks.runtime.environments import LOCKS
from benchmarks.runtime.names import (
    BENTOML,
    FLOOR,
    IRIS,
    KSERVE,
    LITSERVE,
    MLFLOW,
    MLSERVER,
    MLSERVER_DEFAULT,
    TORCHSERVE,
    TRITON,
)
from benchmarks.runtime.servers import NotStarted, Server, cache, free_ports, running
from modelway_runtime import __version__

PEERS = LOCKS / "peers"
LOCKED = ("mlserver", "kserve", "triton", "bentoml", "litserve", "mlflow", "torchserve")
"""The peers that have a lock of that name."""
Start = Callable[[], AbstractContextManager[Server]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A server, and the path and body of a prediction."""

    label: str
    version: str
    start: Start
    path: str = "/v2/models/{model}/infer"
    body: Callable[[str], str]


def v2(model: str) -> str:
    """A V2 request of one row."""
    shape = [1, models.WIDTHS[model]]
    tensor = {"name": "X", "shape": shape, "datatype": "FP32", "data": models.row(model)}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":"))


def _rows(model: str) -> str:
    return json.dumps({"rows": [models.row(model)]}, separators=(",", ":"))


def _inputs(model: str) -> str:
    return json.dumps({"inputs": [models.row(model)]}, separators=(",", ":"))


def modelway(label: str, model: str, *flags: str, is_inline: bool = False) -> Contender:
    """Ours, with all that it does by default: limits, metrics, batching. One process serves one model."""

    @contextmanager
    def start() -> Iterator[Server]:
        port, grpc_port = free_ports(2)
        program = [sys.executable, str(PEERS / "inline_server.py")] if is_inline else [runtime_program()]
        where = ["--port", str(port), "--grpc-port", str(grpc_port), "--metrics-port", "0"]
        command = [*program, "serve", str(models.folder() / model), "--name", model, *where, "--threads", "1", *flags]
        with running(
            f"{label} {model}",
            command,
            ports=(port, grpc_port),
            ready=f"/v2/models/{model}/ready",
            environment={"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        ) as server:
            yield server

    return Contender(label=label, version=__version__, start=start, body=v2)


def runtime_program() -> str:
    """The program of this checkout's runtime."""
    return str(Path(sys.executable).with_name("modelway-runtime"))


def floor() -> Contender:
    """What uvicorn can do with a raw ASGI callable that computes nothing."""

    @contextmanager
    def start() -> Iterator[Server]:
        (port,) = free_ports(1)
        command = [sys.executable, str(PEERS / "constant_server.py"), str(port)]
        with running(FLOOR, command, ports=(port, 0), ready="/", environment={}) as server:
            yield server

    return Contender(label=FLOOR, version="", start=start, body=v2)


def peers() -> tuple[Contender, ...]:
    """All others, each as its documents start it, with one worker."""
    return (
        Contender(label=MLSERVER, version=_version("mlserver"), start=_mlserver(0), body=v2),
        Contender(label=MLSERVER_DEFAULT, version=_version("mlserver"), start=_mlserver(1), body=v2),
        Contender(label=KSERVE, version=_version("kserve"), start=_kserve, body=v2),
        Contender(label=TRITON, version=_TRITON_VERSION, start=_triton, body=v2),
        Contender(label=BENTOML, version=_version("bentoml"), start=_bentoml, path="/predict", body=_rows),
        Contender(label=LITSERVE, version=_version("litserve"), start=_litserve, path="/predict", body=_rows),
        Contender(label=MLFLOW, version=_version("mlflow"), start=_mlflow, path="/invocations", body=_inputs),
        Contender(
            label=TORCHSERVE,
            version=_version("torchserve"),
            start=_torchserve,
            path="/predictions/tabular",
            body=_rows,
        ),
    )


_TRITON_VERSION = "2.51.0"
"""What the server that nvidia-pytriton 0.7.0 carries says of itself."""


def _version(peer: str) -> str:
    return environments.version(peer, peer)


def _paths(*extra: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(str, (PEERS, *extra))), "BENCH_MODELS": str(models.folder())}


def _mlserver(workers: int) -> Start:
    @contextmanager
    def start() -> Iterator[Server]:
        program = environments.program("mlserver", "mlserver")
        port, grpc_port, metrics_port = free_ports(3)
        folder = _fresh(f"mlserver-{workers}")
        settings = {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": grpc_port,
            "metrics_port": metrics_port,
            "parallel_workers": workers,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        for path in models.folder().glob("*/model.onnx"):
            name = path.parent.name
            described = {"name": name, "implementation": "onnx_runtime.OnnxModel", "parameters": {"uri": str(path)}}
            (folder / name).mkdir()
            (folder / name / "model-settings.json").write_text(json.dumps(described))
        with running(
            MLSERVER_DEFAULT if workers else MLSERVER,
            [program, "start", str(folder)],
            ports=(port, grpc_port),
            ready="/v2/health/ready",
            environment=_paths(LOCKS / "mlserver"),
        ) as server:
            yield server

    return start


@contextmanager
def _kserve() -> Iterator[Server]:
    port, grpc_port = free_ports(2)
    command = [environments.program("kserve", "python"), str(PEERS / "kserve_server.py")]
    arguments = [str(models.folder()), str(port), str(grpc_port)]
    ready = f"/v2/models/{IRIS}/ready"
    with running(KSERVE, [*command, *arguments], ports=(port, grpc_port), ready=ready, environment=_paths()) as server:
        yield server


@contextmanager
def _bentoml() -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [environments.program("bentoml", "bentoml"), "serve", "bentoml_server:Tabular"]
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(PEERS)]
    environment = {**_paths(), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(_fresh("bentoml-home"))}
    with running(BENTOML, [*command, *arguments], ports=(port, 0), ready="/readyz", environment=environment) as server:
        yield server


@contextmanager
def _litserve() -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [environments.program("litserve", "python"), str(PEERS / "litserve_server.py")]
    arguments = [str(models.folder()), str(port)]
    with running(LITSERVE, [*command, *arguments], ports=(port, 0), ready="/health", environment=_paths()) as server:
        yield server


@contextmanager
def _mlflow() -> Iterator[Server]:
    (port,) = free_ports(1)
    program, model = environments.program("mlflow", "mlflow"), _fresh("mlflow-model") / "saved"
    environment = {
        **_paths(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
    }
    save = [environments.program("mlflow", "python"), str(PEERS / "mlflow_save.py"), str(model)]
    _prepared(save, environment)
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--env-manager", "local"]
    with running(
        MLFLOW,
        [program, "models", "serve", "--model-uri", str(model), *arguments],
        ports=(port, 0),
        ready="/ping",
        environment=environment,
    ) as server:
        yield server


@contextmanager
def _torchserve() -> Iterator[Server]:
    if shutil.which("java") is None:
        raise NotStarted("its front end needs Java, which is not installed")
    port, management, metrics, grpc_port, grpc_management = free_ports(5)
    folder = _fresh("torchserve")
    archive = folder / "store" / "tabular" / "MAR-INF"
    archive.mkdir(parents=True)
    shutil.copy(PEERS / "torchserve_handler.py", archive.parent)
    described = {"modelName": "tabular", "handler": "torchserve_handler.py", "modelVersion": "1"}
    manifest = {"createdOn": "", "runtime": "python", "model": described, "archiverVersion": "0.12.0"}
    (archive / "MANIFEST.json").write_text(json.dumps(manifest))
    properties = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_port": grpc_port,
        "grpc_management_port": grpc_management,
        "default_workers_per_model": 1,
        "disable_token_authorization": "true",
        "enable_envvars_config": "false",
    }
    (folder / "config.properties").write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    program = Path(environments.program("torchserve", "torchserve"))
    arguments = ["--start", "--foreground", "--ncs", "--model-store", str(folder / "store"), "--models"]
    environment = {
        **_paths(PEERS / "torchserve_stand_in"),
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "LOG_LOCATION": str(folder),
        "METRICS_LOCATION": str(folder),
    }
    with running(
        TORCHSERVE,
        [str(program), *arguments, "tabular=tabular", "--ts-config", str(folder / "config.properties")],
        ports=(port, grpc_port),
        ready="/ping",
        environment=environment,
    ) as server:
        yield server


@contextmanager
def _triton() -> Iterator[Server]:
    home = environments.environment("triton")
    (site,) = home.glob("lib/python3.*/site-packages")
    server_folder = site / "pytriton" / "tritonserver"
    port, grpc_port = free_ports(2)
    repository = _fresh("triton") / "models"
    for path in models.folder().glob("*/model.onnx"):
        _lay_out(repository / path.parent.name, path)
    backends = _with_stub(server_folder)
    command = [
        str(server_folder / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--http-port={port}",
        f"--grpc-port={grpc_port}",
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        "--allow-metrics=false",
    ]
    # The stub looks for the wheel's libraries from another folder than the one where it must stand, and takes the
    # packages of the first Python on the path; it heeds no PYTHONPATH.
    environment = {
        "LD_LIBRARY_PATH": str(site / "nvidia_pytriton.libs"),
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    ready = f"/v2/models/{IRIS}/ready"
    with running(TRITON, command, ports=(port, grpc_port), ready=ready, environment=environment) as server:
        yield server


def _with_stub(server_folder: Path) -> Path:
    """The backend's folder with the stub for this version of Python beside it, as pytriton lays it."""
    backends = cache() / "triton-backends"
    shutil.copytree(server_folder / "backends", backends, dirs_exist_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server_folder / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    return backends


def _lay_out(place: Path, path: Path) -> None:
    """A model of Triton's repository: the backend's program and the ONNX file."""
    (place / "1").mkdir(parents=True)
    shutil.copy(PEERS / "triton_model.py", place / "1" / "model.py")
    shutil.copy(PEERS / "sessions.py", place / "1")
    shutil.copy(path, place / "1" / "model.onnx")
    session = models.session(place.name)
    lines = [f'name: "{place.name}"', 'backend: "python"', "max_batch_size: 32", "dynamic_batching {}"]
    tensors = [("input", [session.get_inputs()[0]]), ("output", session.get_outputs())]
    for kind, found in tensors:
        for tensor in found:
            datatype = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}[tensor.type]
            dims = ", ".join(str(size) for size in tensor.shape[1:])
            reshape = "" if dims else " reshape: { shape: [] }"
            lines.append(f'{kind} [ {{ name: "{tensor.name}" data_type: {datatype} dims: [ {dims or 1} ]{reshape} }} ]')
    (place / "config.pbtxt").write_text("\n".join(lines))


def _fresh(name: str) -> Path:
    """An empty folder for a server's settings."""
    folder = cache() / "settings" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _prepared(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStarted((done.stderr.strip() or "it could not be prepared").splitlines()[-1][:200])
