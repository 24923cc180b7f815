"""What a server and its worker process tell each other over a socket; tensors lie in memory that both see."""

import socket
import struct
from typing import Any, TypeAlias

import msgspec

from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.golden import Golden
from modelway_runtime.protocol.tensors import TensorSpec

_LENGTH = struct.Struct("<I")


class Placed(msgspec.Struct, frozen=True, gc=False):
    """Where a tensor lies in the memory: numpy's name of its type, its shape, its first byte and how many there are."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


class Start(msgspec.Struct, tag=True):
    """The first message to a worker: which checked files to open, and how."""

    server: int
    model_format: str
    root: str
    file: str
    trust: str
    threads: int
    options: dict[str, Any]
    max_rows: int
    golden: tuple[Golden, ...]
    """What an optimized model must answer; none where none is wanted."""


class Call(msgspec.Struct, tag=True):
    """An inference is asked for."""

    tensors: tuple[Placed, ...]


class Loaded(msgspec.Struct, tag=True):
    """The files are open; what the model says of itself."""

    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    is_batchable: bool
    optimization: Optimization


class Warmed(msgspec.Struct, tag=True):
    """The model has run; how many rows may run together."""

    rows: int


class Failed(msgspec.Struct, tag=True):
    """The model cannot be served."""

    reason: str
    message: str


class Answer(msgspec.Struct, tag=True):
    """The outputs."""

    tensors: tuple[Placed, ...]


class Raised(msgspec.Struct, tag=True):
    """The model raised an error instead; `is_fault_of_caller` for inputs that it does not take."""

    kind: str
    text: str
    is_fault_of_caller: bool


ToWorker: TypeAlias = Start | Call
ToServer: TypeAlias = Loaded | Warmed | Failed | Answer | Raised
TO_WORKER: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
TO_SERVER: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)
_encode = msgspec.msgpack.Encoder().encode


def send(connection: socket.socket, message: ToWorker | ToServer) -> None:
    """A whole message; raises OSError where the other side is gone."""
    payload = _encode(message)
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def receive(connection: socket.socket) -> bytes | None:
    """The next message, undecoded; None where the other side is gone."""
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    pieces: list[bytes] = []
    while size:
        try:
            piece = connection.recv(size)
        except OSError:
            return None
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
