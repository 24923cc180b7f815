"""A worker process as the server sees it: a model whose process can die. All methods belong to one thread."""

import math
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic

import msgspec

from modelway_runtime import logs
from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.protocol.tensors import Array, Arrays, InputRejected, ModelGone, TensorSpec
from modelway_runtime.reasons import Failure, Reason
from modelway_runtime.workers import messages
from modelway_runtime.workers.bell import Bell
from modelway_runtime.workers.memory import Memory
from modelway_runtime.workers.messages import Answer, Call, Failed, Loaded, Raised, Start, ToServer, Warmed

_MODULE = "modelway_runtime.workers.process"
_TALK_SECONDS = 10.0
"""How long one message may take from its first to its last byte."""
_END_SECONDS = 2.0
"""How long a process may take to end by itself."""


class Worker:
    """Looks like the model that it has loaded. Raises ModelGone as soon as its process has died, Closed at the end."""

    is_concurrent = False

    def __init__(self, bell: Bell, *, call_seconds: float) -> None:
        """Starts the process, which does nothing yet; a call that takes longer than said ends it."""
        self._bell = bell
        self._call_seconds = call_seconds
        self._inputs, self._outputs = Memory.made(), Memory.made()
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_TALK_SECONDS)
        numbers = (theirs.fileno(), self._inputs.number, self._outputs.number)
        command = [sys.executable, "-P", "-m", _MODULE, *map(str, numbers), logs.form()]
        with theirs:
            # A group of its own: a signal from a terminal is the server's alone, and what it started dies with it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=numbers, start_new_session=True
            )
        self._is_closed = False
        self._death = _sentinel(self._process.pid)
        self._poll = select.poll()
        for number in (self._socket.fileno(), bell.number, *self._death):
            self._poll.register(number, select.POLLIN)
        self.platform = ""
        self.inputs: tuple[TensorSpec, ...] = ()
        self.outputs: tuple[TensorSpec, ...] = ()
        self.is_batchable = False
        self.optimization = Optimization()
        self.rows = 1
        """How many may run together."""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def load(self, start: Start) -> None:
        """Lets it open the model; raises Failure, also where the files make the process die."""
        try:
            messages.send(self._socket, start)
            said = self._heard(None)
        except ModelGone as gone:
            message = f"The process that loaded the model {gone}; its log may say where"
            raise Failure(Reason.MODEL_LOAD_FAILED, message) from gone
        except OSError as error:
            raise Failure(Reason.MODEL_LOAD_FAILED, f"The process that loads the model: {error}") from error
        if not isinstance(said, Loaded):
            raise self._failure(said)
        self.platform, self.is_batchable = said.platform, said.is_batchable
        self.inputs, self.outputs = said.inputs, said.outputs
        self.optimization = said.optimization

    def warm(self) -> None:
        """Waits until the model has run once; raises Failure."""
        try:
            said = self._heard(None)
        except ModelGone as gone:
            raise Failure(Reason.WARMUP_FAILED, f"The process that ran the model first {gone}") from gone
        if not isinstance(said, Warmed):
            raise self._failure(said)
        self.rows = said.rows

    def wait(self) -> None:
        """Until the bell rings; raises ModelGone when the process dies meanwhile."""
        while True:
            ready = self._ready(None)
            if self._bell.number in ready:
                self._bell.silence()
                return
            raise self._gone()

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """What the model answers in its process, or an error under the name that it has there."""
        try:
            messages.send(self._socket, Call(self._inputs.write(inputs)))
            said = self._heard(self._call_seconds)
            if isinstance(said, Answer):
                return self._outputs.read(said.tensors)
        except (OSError, ValueError, TypeError) as error:
            raise self._gone("lost its connection") from error
        if not isinstance(said, Raised):
            raise self._gone("gave no answer")
        raise InputRejected(said.text) if said.is_fault_of_caller else _error(said.kind, said.text)

    def close(self) -> None:
        """Lets the process end by itself, for a moment, and gives back what it had."""
        if self._is_closed:
            return
        self._is_closed = True
        self._socket.close()
        self._end(_END_SECONDS)
        for number in self._death:
            os.close(number)
        self._inputs.close()
        self._outputs.close()

    def _heard(self, seconds: float | None) -> ToServer:
        """Its next message; raises ModelGone where it dies or takes too long."""
        ends = None if seconds is None else monotonic() + seconds
        while True:
            ready = self._ready(ends)
            if not ready:
                raise self._gone(f"gave no answer in {self._call_seconds:g} s and was ended")
            if self._bell.number in ready:
                self._bell.silence()
            if self._socket.fileno() in ready:
                return self._received()
            if ready & {*self._death}:
                raise self._gone()

    def _received(self) -> ToServer:
        content = messages.receive(self._socket)
        if content is None:
            raise self._gone()
        try:
            return messages.TO_SERVER.decode(content)
        except msgspec.DecodeError as error:
            raise self._gone("said what nobody understands") from error

    def _ready(self, ends: float | None) -> set[int]:
        """Which of socket, bell and death has something; none at the end of the time. Raises Closed."""
        left = None if ends is None else max(0, math.ceil((ends - monotonic()) * 1e3))
        ready = {number for number, _ in self._poll.poll(left)}
        if self._bell.number in ready:
            self._bell.check()
        return ready

    def _gone(self, what: str = "") -> ModelGone:
        """Ends the process, where it has not ended yet, and tells how it came to that."""
        self._end(0.0 if what else _END_SECONDS)
        return ModelGone(what or _told(self._process.returncode))

    def _end(self, patience: float) -> None:
        """Waits for the end of the process, for so many seconds, and kills it and all that it has started."""
        if self._process.returncode is not None:
            return
        ending = select.poll()
        for number in self._death:
            ending.register(number, select.POLLIN)
        ending.poll(patience * 1e3)
        # Before it is waited for: until then nobody else can have its number.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @staticmethod
    def _failure(said: ToServer) -> Failure:
        if isinstance(said, Failed):
            return Failure(said.reason, said.message)
        return Failure(Reason.MODEL_LOAD_FAILED, "The process that loads the model does not say how that went")


def _sentinel(pid: int) -> tuple[int, ...]:
    """A file that becomes readable when the process dies, where there is such a thing.

    The end of its socket tells the same, unless the model has forked and its children hold the socket.
    """
    try:
        return (os.pidfd_open(pid),)
    except (AttributeError, OSError):
        return ()


def _told(status: int) -> str:
    """How a process came to its end, to follow its name."""
    if status >= 0:
        return f"ended by itself with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    short = ", as happens where memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{short}"


def _error(kind: str, text: str) -> Exception:
    """An error as it was raised in the process: callers and logs read the same words wherever the model runs."""
    named: type[Exception] = type(kind if kind.isidentifier() else "Exception", (Exception,), {})
    return named(text)
