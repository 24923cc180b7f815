"""The worker process: opens the model that the server has checked, and answers one call after the other.

It ends when the server does, however that ends: the kernel kills it then, and its socket is closed.
"""

import ctypes
import faulthandler
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from modelway_runtime import logs
from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.loaders import loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import InputRejected, Model
from modelway_runtime.reasons import Failure
from modelway_runtime.server import preparation
from modelway_runtime.workers import messages
from modelway_runtime.workers.memory import Memory
from modelway_runtime.workers.messages import Answer, Call, Failed, Loaded, Raised, Start, Warmed

_SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
_LONGEST_ERROR = 2000


def main() -> int:
    """Serves until the socket is closed; the status is 0 then, and 1 where the model cannot be served."""
    connection, inputs, outputs = (int(number) for number in sys.argv[1:4])
    logs.configure(text=sys.argv[4] == "text")
    faulthandler.enable()
    with socket.socket(fileno=connection) as server:
        # The server has ended again: nobody is told.
        with suppress(BrokenPipeError):
            return _work(server, Memory(inputs), Memory(outputs))
        return 0


def _work(server: socket.socket, inputs: Memory, outputs: Memory) -> int:
    asked = _heard(server)
    if not isinstance(asked, Start):
        return 0
    _die_with(asked.server)
    try:
        model, found = _loaded(asked)
        messages.send(server, Loaded(model.platform, model.inputs, model.outputs, model.is_batchable, found))
        messages.send(server, Warmed(preparation.warm(model, asked.max_rows)))
    except Failure as failure:
        messages.send(server, Failed(str(failure.reason), failure.message))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it was, the server must know it to end with a message
        logs.LOGGER.exception("Ended by an error in the runtime itself")
        messages.send(server, Failed("InternalError", f"{type(error).__name__}: {error}"))
        return 1
    while isinstance(call := _heard(server), Call):
        messages.send(server, _answer(model, call, inputs, outputs))
    return 0


def _heard(server: socket.socket) -> Start | Call | None:
    content = messages.receive(server)
    return None if content is None else messages.TO_WORKER.decode(content)


def _loaded(asked: Start) -> tuple[Model, Optimization]:
    root = Path(asked.root)
    artifact = Artifact(
        root=root, file=root / asked.file, trust=asked.trust, threads=asked.threads, options=asked.options
    )
    model = loader.find(asked.model_format)(artifact)
    return preparation.optimize_for(asked.golden, model, asked.options, asked.threads)


def _answer(model: Model, call: Call, inputs: Memory, outputs: Memory) -> Answer | Raised:
    try:
        return Answer(outputs.write(model.predict(inputs.read(call.tensors))))
    except BaseException as error:  # noqa: BLE001 - the model is foreign code, and exit() must not end its process
        kind, text = type(error).__name__, str(error)[:_LONGEST_ERROR]
        return Raised(kind, text.encode("utf-8", "replace").decode(), isinstance(error, InputRejected))


def _die_with(server: int) -> None:
    """Asks Linux to be killed as soon as the server has died, also while a model keeps Python from noticing."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(0)  # it died before it was asked


if __name__ == "__main__":
    sys.exit(main())
