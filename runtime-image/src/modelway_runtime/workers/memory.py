"""Memory that two processes see: one writes tensors to it, the other one copies them out.

It has no name, so nothing is left behind when a process dies, and the size of /dev/shm, 64 MiB in a pod, is no limit.
The reader copies: a model may keep its inputs, and the memory is written again by the next call.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from modelway_runtime.protocol.tensors import Array, Arrays
from modelway_runtime.workers.messages import Placed

KEPT_BYTES = 8 << 20
"""How much is kept from one call to the next; what a larger one needed is given back as soon as it is read."""
_ALIGNMENT = 64
_OBJECTS = np.dtype(object).str


class Memory:
    """One direction between two processes, which take turns."""

    def __init__(self, number: int) -> None:
        self.number = number
        """Of the open file."""
        self._seen: mmap.mmap | None = None

    @classmethod
    def made(cls) -> "Memory":
        """New memory, without a page yet."""
        # Not every system has it, and a sandbox may refuse it.
        with suppress(AttributeError, OSError):
            return cls(os.memfd_create("tensors", os.MFD_CLOEXEC))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def write(self, arrays: Mapping[str, Array]) -> tuple[Placed, ...]:
        """Lays arrays down and says where."""
        contents = {name: _content(array) for name, array in arrays.items()}
        placed: list[Placed] = []
        place = 0
        for name, content in contents.items():
            dtype = _OBJECTS if arrays[name].dtype.hasobject else content.dtype.str
            placed.append(Placed(name, dtype, arrays[name].shape, place, content.nbytes))
            place += -(-content.nbytes // _ALIGNMENT) * _ALIGNMENT
        memory = self._reserved(place)
        for one in placed:
            content = contents[one.name]
            np.ndarray(content.shape, content.dtype, memory, one.start)[...] = content
        return tuple(placed)

    def read(self, placed: Iterable[Placed]) -> Arrays:
        """Copies of what was laid down; raises ValueError where that is not what is said."""
        placed = tuple(placed)
        memory = self._mapped(max((one.start + one.size for one in placed), default=0))
        arrays = {one.name: _array(memory, one) for one in placed}
        if len(memory) > KEPT_BYTES:
            self._forget()
            os.ftruncate(self.number, KEPT_BYTES)
        return arrays

    def close(self) -> None:
        """Gives it back; the other process still has it."""
        self._forget()
        os.close(self.number)

    def _reserved(self, size: int) -> mmap.mmap:
        # The reader may have cut it since.
        if os.fstat(self.number).st_size < max(size, 1):
            os.ftruncate(self.number, -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE)
        return self._mapped(size)

    def _mapped(self, size: int) -> mmap.mmap:
        """At least so many bytes of it; raises ValueError where there are less."""
        if self._seen is None or len(self._seen) < size:
            self._forget()
            self._seen = mmap.mmap(self.number, 0)
            if len(self._seen) < size:
                raise ValueError(f"{size} bytes of shared memory are said to be there, there are {len(self._seen)}")
        return self._seen

    def _forget(self) -> None:
        if self._seen is not None:
            self._seen.close()
            self._seen = None


def _content(array: Array) -> Array:
    """What is laid down of an array: itself, or its strings one after the other."""
    if not array.dtype.hasobject:
        return array
    items = [item if isinstance(item, bytes) else str(item) for item in array.ravel()]
    return np.frombuffer(msgspec.msgpack.encode(items), np.uint8)


def _array(memory: mmap.mmap, one: Placed) -> Array:
    if one.dtype != _OBJECTS:
        return np.ndarray(one.shape, one.dtype, memory, one.start).copy()
    items = msgspec.msgpack.decode(memory[one.start : one.start + one.size], type=list[Any])
    array = np.empty(len(items), dtype=np.object_)
    array[:] = items
    return array.reshape(one.shape)
