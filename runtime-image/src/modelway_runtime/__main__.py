"""The command line: `modelway-runtime fetch | serve | check | convert | reference | pack | compare | gate | digest`."""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence

from modelway_runtime import __version__, cpus, logs, settings, termination
from modelway_runtime.reasons import Failure, UsageError
from modelway_runtime.termination import Outcome

# Imported when asked for: `serve` must not pay for the stores, nor `fetch` for the server.
_COMMANDS = {
    "fetch": "modelway_runtime.fetch.command",
    "serve": "modelway_runtime.server.command",
    "check": "modelway_runtime.server.check",
    "convert": "modelway_runtime.conversion.command",
    "pack": "modelway_runtime.pack.command",
    "reference": "modelway_runtime.reference.command",
    "compare": "modelway_runtime.compare.command",
    "gate": "modelway_runtime.gate.command",
    "digest": "modelway_runtime.digests",
}


def parser() -> argparse.ArgumentParser:
    """The arguments; each flag is a setting whose environment variable stands in its help."""
    root = argparse.ArgumentParser(
        prog="modelway-runtime",
        description="Serves one machine-learning model over the V2 inference protocol.",
        epilog="Every flag can also be given as the environment variable that its help names; the flag wins.",
    )
    root.add_argument("--version", action="version", version=f"modelway-runtime {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="serve a model", description=_SERVE))
    _add_check(commands.add_parser("check", help="try a model before it is deployed", description=_CHECK))
    _add_convert(commands.add_parser("convert", help="make a pickle safe, or ONNX", description=_CONVERT))
    _add_pack(commands.add_parser("pack", help="push a model, or write an image for it", description=_PACK))
    _add_reference(
        commands.add_parser("reference", help="write down what drift is held against", description=_REFERENCE)
    )
    _add_fetch(commands.add_parser("fetch", help="bring a model from a store", description=_FETCH))
    _add_compare(commands.add_parser("compare", help="compare two revisions' answers", description=_COMPARE))
    _add_gate(commands.add_parser("gate", help="hold another server's readiness", description=_GATE))
    digest = commands.add_parser("digest", help="print the digest of a file or folder", description=_DIGEST)
    digest.add_argument("MODELWAY_PATH", metavar="PATH", help="file or folder")
    return root


_SERVE = "Loads, warms and checks a model, then serves it until SIGTERM. Without PATH it serves what `fetch` brought."
_CHECK = (
    "Loads and warms a model as a pod would, asks golden requests, and prints its inputs, its outputs and a golden "
    "request to paste."
)
_CONVERT = (
    "Opens a pickle (running whatever code is in it), an XGBoost or a LightGBM model, writes it as skops or ONNX, and "
    "compares the answers of both; where they differ nothing is written."
)
_PACK = (
    "Pushes a model to an OCI registry, from which `fetch` brings it; or writes the Dockerfile of a runtime image that "
    "has the packages which the model needs."
)
_REFERENCE = (
    "Asks a model the rows of a CSV file, such as those that it was trained on, and writes reference.json beside it: "
    "counts of its inputs and predictions, against which pods count those of callers."
)
_FETCH = "Brings a model from s3, gs, az, hf, oci, http(s) or pvc:// or a local path, and checks its digest."
_COMPARE = "Takes requests that a gateway mirrors, asks two revisions and counts where their answers disagree."
_GATE = (
    "Warms the model of a server that is not ours, asks it the golden requests, and only then says that it is ready."
)
_DIGEST = "Prints the digest to pin as spec.model.digest."


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("MODELWAY_PATH", nargs="?", metavar="PATH", help="a model's file or folder on this machine")
    _flag(serve, "--name", "MODELWAY_MODEL_NAME", "the model's name in URLs (default: PATH's name)")
    _flag(serve, "--model-version", "MODELWAY_MODEL_VERSION", "the model's version, for people and metrics")
    _flag(serve, "--format", "MODELWAY_MODEL_FORMAT", "onnx, sklearn, … (default: by the file names)")
    _flag(serve, "--trust", "MODELWAY_TRUST", "Safe (default), or Any to open pickles, which can run any code")
    _flag(serve, "--host", "MODELWAY_HOST", "address to listen on (default: all; with PATH 127.0.0.1)")
    _flag(serve, "--port", "MODELWAY_PORT", "port of the protocol (default 8000; 0 picks one)")
    _flag(serve, "--metrics-port", "MODELWAY_METRICS_PORT", "port of /metrics (default 8002; 0 picks one)")
    _flag(serve, "--grpc", "MODELWAY_GRPC", "who takes gRPC calls: grpcio (default), native or off")
    _flag(serve, "--grpc-port", "MODELWAY_GRPC_PORT", "port of the protocol over gRPC (default 8001; 0 picks one)")
    _flag(
        serve,
        "--golden",
        "MODELWAY_GOLDEN_PATH",
        "JSON file of golden requests that must be answered as expected",
    )
    _flag(serve, "--max-batch-size", "MODELWAY_MAX_BATCH_SIZE", "rows that run together at most (default 32)")
    _flag(serve, "--max-queue", "MODELWAY_MAX_QUEUE", "requests that may wait (default 1000)")
    _flag(serve, "--max-body-bytes", "MODELWAY_MAX_BODY_BYTES", "largest request body (default 64Mi)")
    _flag(serve, "--request-timeout", "MODELWAY_REQUEST_TIMEOUT", "longest time for an answer (default 30s)")
    _flag(serve, "--drain", "MODELWAY_DRAIN", "time to go on after SIGTERM (default 30s; with PATH 0s)")
    _flag(
        serve, "--threads", "MODELWAY_THREADS", "threads inside one inference (default: its share of the CPUs allowed)"
    )
    _flag(serve, "--instances", "MODELWAY_INSTANCES", "inferences at the same time in the server (default: by format)")
    _flag(serve, "--workers", "MODELWAY_WORKERS", "processes that run the model; 0: the server (default: by format)")
    _flag(serve, "--options", "MODELWAY_OPTIONS", "options of the loader as a JSON object")
    _flag(serve, "--metrics-names", "MODELWAY_METRICS_NAMES", "triton: nv_inference_… too (default modelway)")
    _flag(serve, "--payload-log", "MODELWAY_PAYLOAD_LOG_URL", "URL that gets requests and answers as CloudEvents")
    _flag(serve, "--payload-log-fraction", "MODELWAY_PAYLOAD_LOG_FRACTION", "share of requests, 0 to 1 (default 1)")
    _flag(serve, "--payload-log-max-bytes", "MODELWAY_PAYLOAD_LOG_MAX_BYTES", "largest event with data (default 64Ki)")
    _flag(serve, "--payload-log-redact", "MODELWAY_PAYLOAD_LOG_REDACT", "tensors and columns without values: a,b,…")
    _flag(serve, "--payload-log-service", "MODELWAY_PAYLOAD_LOG_SERVICE", "inferenceservicename (default: the model's)")
    _flag(serve, "--payload-log-namespace", "MODELWAY_PAYLOAD_LOG_NAMESPACE", "namespace of the events (default: none)")
    _flag(serve, "--access-log", "MODELWAY_ACCESS_LOG", "true: a line of JSON on standard output for each request")


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument("MODELWAY_PATH", metavar="PATH", help="a model's file or folder on this machine")
    _flag(check, "--format", "MODELWAY_MODEL_FORMAT", "onnx, sklearn, … (default: by the file names)")
    _flag(check, "--trust", "MODELWAY_TRUST", "Safe (default), or Any to open pickles, which can run any code")
    _flag(check, "--request", "MODELWAY_REQUEST", "JSON file of a V2 request to ask in place of zeros")
    _flag(check, "--golden", "MODELWAY_GOLDEN_PATH", "JSON file of golden requests that must be answered as expected")
    _flag(check, "--max-batch-size", "MODELWAY_MAX_BATCH_SIZE", "rows that run together at most (default 32)")
    _flag(check, "--threads", "MODELWAY_THREADS", "threads inside one inference (default: the CPUs allowed)")
    _flag(check, "--options", "MODELWAY_OPTIONS", "options of the loader as a JSON object")


def _add_convert(convert: argparse.ArgumentParser) -> None:
    convert.add_argument("MODELWAY_PATH", metavar="PATH", help="a model's file or folder on this machine")
    _flag(convert, "--to", "MODELWAY_CONVERT_TO", "skops, or onnx (needs modelway-runtime[onnx])")
    _flag(convert, "--check", "MODELWAY_CHECK_DATA", "CSV file of rows that both must answer alike")
    _flag(convert, "--output", "MODELWAY_OUTPUT", "file to write (default model.skops or model.onnx beside PATH)")
    _flag(convert, "--tolerance", "MODELWAY_TOLERANCE", "how far numbers may differ (default 1e-5, and 1e-3 of it)")
    _flag(convert, "--format", "MODELWAY_MODEL_FORMAT", "sklearn, xgboost, … (default: by the file names)")
    _flag(convert, "--options", "MODELWAY_OPTIONS", "options of the loader as a JSON object")


def _add_pack(pack: argparse.ArgumentParser) -> None:
    pack.add_argument("MODELWAY_PATH", metavar="PATH", help="a model's file or folder on this machine")
    pack.add_argument("MODELWAY_PACK_TARGET", nargs="?", metavar="oci://REGISTRY/NAME:TAG", help="where to push it")
    _flag(pack, "--key", "MODELWAY_SIGNING_KEY", "private key in PEM that signs the model (default: none)")
    _flag(pack, "--requirements", "MODELWAY_REQUIREMENTS", "pinned packages to install in an image, as pip freeze")
    _flag(
        pack, "--image", "MODELWAY_BASE_IMAGE", "the runtime image to build on; when pushing: push an image that serves"
    )
    _flag(pack, "--name", "MODELWAY_MODEL_NAME", "with --image, the model's name in URLs (default: PATH's name)")
    _flag(pack, "--trust", "MODELWAY_TRUST", "with --image, Safe (default), or Any to serve pickles")
    _flag(pack, "--output", "MODELWAY_OUTPUT", "folder to write (default PATH's name with -image)")
    _flag(pack, "--format", "MODELWAY_MODEL_FORMAT", "onnx, sklearn, … (default: by the file names)")


def _add_reference(reference: argparse.ArgumentParser) -> None:
    reference.add_argument("MODELWAY_PATH", metavar="MODEL", help="a model's file or folder on this machine")
    reference.add_argument("MODELWAY_DATA", metavar="DATA", help="CSV file whose first line names its columns")
    _flag(reference, "--names", "MODELWAY_NAMES", "features and predictions to keep, with commas (default: all)")
    _flag(reference, "--to", "MODELWAY_REFERENCE_PATH", "file to write (default: reference.json beside the model)")
    _flag(reference, "--format", "MODELWAY_MODEL_FORMAT", "onnx, sklearn, … (default: by the file names)")
    _flag(reference, "--trust", "MODELWAY_TRUST", "Safe (default), or Any to open pickles, which can run any code")
    _flag(reference, "--threads", "MODELWAY_THREADS", "threads inside one inference (default: the CPUs allowed)")
    _flag(reference, "--options", "MODELWAY_OPTIONS", "options of the loader as a JSON object")


def _add_fetch(fetch: argparse.ArgumentParser) -> None:
    _flag(fetch, "--uri", "MODELWAY_MODEL_URI", "where the model is, for example s3://models/iris/1")
    _flag(fetch, "--format", "MODELWAY_MODEL_FORMAT", "onnx, sklearn, … (default: by the file names)")
    _flag(fetch, "--digest", "MODELWAY_MODEL_DIGEST", "refuse other bytes than these (sha256:…)")
    _flag(fetch, "--trust", "MODELWAY_TRUST", "Safe (default), Signed, or Any to accept pickles")
    _flag(fetch, "--cache", "MODELWAY_CACHE_PATH", "folder that keeps models by digest (default: none)")
    _flag(fetch, "--max-cache-bytes", "MODELWAY_CACHE_MAX_BYTES", "most bytes of the cache (default 64Gi)")
    _flag(fetch, "--signature-file", "MODELWAY_SIGNATURE_FILE", "the signature in the folder (default model.sig)")
    _flag(fetch, "--signature-key", "MODELWAY_SIGNATURE_PUBLIC_KEY", "public key of the signer, in PEM")
    _flag(fetch, "--signature-authority", "MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY", "or its authority, in PEM")
    _flag(fetch, "--signature-identity", "MODELWAY_SIGNATURE_IDENTITY", "the name in the signer's certificate")
    _flag(fetch, "--to", "MODELWAY_MODEL_PATH", "folder to write to (default /models)")
    _flag(fetch, "--layout", "MODELWAY_MODEL_LAYOUT", "Plain (default), TritonRepository or TensorFlowServing")
    _flag(fetch, "--name", "MODELWAY_MODEL_NAME", "the model's name in such a layout (default: model)")
    _flag(fetch, "--max-model-bytes", "MODELWAY_MAX_MODEL_BYTES", "largest model (default 16Gi)")
    _flag(fetch, "--retry", "MODELWAY_FETCH_RETRY", "how long to try without progress (default 45s)")
    _flag(fetch, "--connections", "MODELWAY_FETCH_CONNECTIONS", "parts of a file that come together (default 8)")


def _add_compare(compare: argparse.ArgumentParser) -> None:
    _flag(compare, "--stable", "MODELWAY_STABLE_URL", "base URL of the stable revision")
    _flag(compare, "--candidate", "MODELWAY_CANDIDATE_URL", "base URL of the candidate")
    _flag(compare, "--stable-revision", "MODELWAY_STABLE_REVISION", "hash of the stable revision")
    _flag(compare, "--candidate-revision", "MODELWAY_CANDIDATE_REVISION", "hash of the candidate")
    _flag(compare, "--tolerance-absolute", "MODELWAY_TOLERANCE_ABSOLUTE", "how far numbers may differ (default 1e-5)")
    _flag(compare, "--tolerance-relative", "MODELWAY_TOLERANCE_RELATIVE", "the same of stable's number (default 1e-3)")
    _flag(compare, "--baseline-percent", "MODELWAY_BASELINE_PERCENT", "share that stable is asked twice (default 10)")
    _flag(compare, "--max-requests-per-second", "MODELWAY_MAX_REQUESTS_PER_SECOND", "most compared (default 20)")
    _flag(compare, "--max-concurrent", "MODELWAY_MAX_CONCURRENT", "requests compared at the same time (default 8)")
    _flag(compare, "--max-queue", "MODELWAY_MAX_QUEUE", "requests that may wait (default 100)")
    _flag(compare, "--max-body-bytes", "MODELWAY_MAX_BODY_BYTES", "largest request or answer (default 4Mi)")
    _flag(compare, "--max-held-bytes", "MODELWAY_MAX_HELD_BYTES", "largest sum of requests held (default 32Mi)")
    _flag(compare, "--request-timeout", "MODELWAY_REQUEST_TIMEOUT", "longest time for an answer (default 10s)")
    _flag(compare, "--redact", "MODELWAY_REDACT", "true: examples without ids and values (default false)")
    _flag(compare, "--drain", "MODELWAY_DRAIN", "time to go on after SIGTERM (default 0s)")
    _flag(compare, "--host", "MODELWAY_HOST", "address to listen on (default: all)")
    _flag(compare, "--port", "MODELWAY_PORT", "port that is mirrored to (default 8000; 0 picks one)")
    _flag(compare, "--metrics-port", "MODELWAY_METRICS_PORT", "port of /metrics (default 8002; 0 picks one)")


def _add_gate(gate: argparse.ArgumentParser) -> None:
    _flag(gate, "--server", "MODELWAY_SERVER_URL", "base URL of the server, such as http://localhost:8000")
    _flag(gate, "--protocol", "MODELWAY_GATE_PROTOCOL", "how it is asked: V2 (default), V1 or Invocations")
    _flag(gate, "--name", "MODELWAY_MODEL_NAME", "the model's name in URLs (default: model)")
    _flag(gate, "--golden", "MODELWAY_GOLDEN_PATH", "JSON file of golden requests that must be answered as expected")
    _flag(gate, "--warmup", "MODELWAY_GATE_WARMUP", "false: the server warms the model itself (default true)")
    _flag(gate, "--ask-golden", "MODELWAY_GATE_GOLDEN", "false: the server asks itself (default true)")
    _flag(gate, "--max-batch-size", "MODELWAY_MAX_BATCH_SIZE", "rows of the larger warm-up request (default 32)")
    _flag(gate, "--request-timeout", "MODELWAY_REQUEST_TIMEOUT", "longest time for an answer (default 30s)")
    _flag(gate, "--drain", "MODELWAY_DRAIN", "longest time to go on after SIGTERM (default 30s)")
    _flag(gate, "--host", "MODELWAY_HOST", "address to listen on (default: all)")
    _flag(gate, "--port", "MODELWAY_GATE_PORT", "port of /ready and /internal/state (default 8002; 0 picks one)")


def _flag(command: argparse.ArgumentParser, flag: str, variable: str, text: str) -> None:
    command.add_argument(flag, dest=variable, metavar="VALUE", help=f"{text} [{variable}]")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status is 0, 1 for a failure with a reason, 2 for wrong usage."""
    parsed = vars(parser().parse_args(arguments))
    if arguments is None:
        _end_at_sigterm()
    flags = {name: value for name, value in parsed.items() if name.isupper() and value is not None}
    logs.configure(text=sys.stderr.isatty() or "MODELWAY_PATH" in flags)
    return _run(parsed["command"], {**os.environ, **flags})


def _end_at_sigterm() -> None:
    """SIGTERM ends the process at once; the server replaces this by its drain as soon as it listens.

    The first process of a container is sent only the signals that it handles, and a handler of Python's waits until the
    library that reads from a store comes back. So a thread is told.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    threading.Thread(target=_end_when_told, args=(told,), name="sigterm", daemon=True).start()


def _end_when_told(told: int) -> None:
    while signal.SIGTERM not in os.read(told, 1):
        pass
    os._exit(128 + signal.SIGTERM)


def _run(command: str, environ: Mapping[str, str]) -> int:
    """Every end, also an unforeseen one, leaves a termination message."""
    path = settings.termination_log(environ)
    cpus.bound(cpus.wanted(environ))
    try:
        outcome: Outcome = importlib.import_module(_COMMANDS[command]).run(environ)
    except Failure as failure:
        logs.LOGGER.error(failure.message, extra={"fields": {"reason": str(failure.reason)}})
        termination.write(path, Outcome(reason=failure.reason, message=failure.message))
        return 1
    except UsageError as error:
        print(f"modelway-runtime {command}: {error}", file=sys.stderr)
        termination.write(path, Outcome(reason="InvalidSettings", message=str(error)))
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BaseException as error:  # noqa: BLE001 - the last place: without it Kubernetes would show no reason at all
        logs.LOGGER.exception("Ended by an error in the runtime itself")
        termination.write(path, Outcome(reason="InternalError", message=f"{type(error).__name__}: {error}"))
        return 1
    termination.write(path, outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
