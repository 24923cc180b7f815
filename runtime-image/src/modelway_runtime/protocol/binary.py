"""Tensors as raw bytes, as they follow a JSON body and as gRPC carries them: both ways. Pure.

Elements stand one after the other in row-major order and little-endian; a BOOL is one byte, and each element of BYTES
comes after its length in four bytes. All sizes are checked before anything is made.
"""

import math
import struct
from collections.abc import Sequence
from itertools import chain

import numpy as np

from modelway_runtime.protocol.datatypes import RAW_DTYPES, of_array
from modelway_runtime.protocol.tensors import Array, BadRequest, TensorSpec

_LENGTH = struct.Struct("<I")


def unpacked(data: bytes | memoryview, datatype: str, shape: Sequence[int], field: str, *, is_text: bool) -> Array:
    """The tensor in some bytes, of a known datatype and a shape of sizes from 1 on; raises BadRequest.

    Numbers are not copied where they stand aligned, and then the array is read-only. Elements of BYTES become text;
    those of a tensor that has others stay bytes, unless it must be text.
    """
    if datatype == "BYTES":
        return _strings(data, shape, field, is_text=is_text)
    dtype = RAW_DTYPES[datatype]
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != len(data):
        raise BadRequest(f"{field}: {len(data)} bytes of binary data, but {datatype} {list(shape)} needs {wanted}")
    array: Array = np.frombuffer(data, dtype).reshape(shape)
    if datatype == "BF16":
        return _widened(array)
    if datatype == "BOOL" and array.view(np.uint8).max() > 1:
        raise BadRequest(f"{field}: a byte of BOOL is neither 0 nor 1")
    # Libraries read through a bare pointer, and not every processor forgives an odd one.
    return array if array.flags.aligned else array.copy()


def packed(array: Array) -> memoryview:
    """The bytes of a tensor; numbers are not copied."""
    if of_array(array) == "BYTES":
        elements = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel()]
        return memoryview(b"".join(chain.from_iterable((_LENGTH.pack(len(item)), item) for item in elements)))
    return np.ascontiguousarray(array).data


def raw(data: bytes, spec: TensorSpec) -> Array:
    """The only input of a model from a body that is nothing but its bytes; its one open size is as it fits.

    A body for BYTES is one element, without its length.
    """
    field = f"inputs[0] ({spec.name!r})"
    if spec.datatype == "BYTES":
        if any(wanted not in (-1, 1) for wanted in spec.shape):
            raise BadRequest(f"{field}: a raw request holds one string, but the shape is {list(spec.shape)}")
        return elements_of([data], spec.shape or (1,), field, is_text=not spec.is_open)
    shape = _deduced(len(data), spec, field)
    return unpacked(data, spec.datatype, shape, field, is_text=True)


def _deduced(length: int, spec: TensorSpec, field: str) -> tuple[int, ...]:
    """The shape that so many bytes have: the last size that is open takes what the others leave."""
    shape = [-1] if spec.is_any_shape else list(spec.shape)
    opened = [place for place, wanted in enumerate(shape) if wanted == -1]
    # With one open size beside it the first is the number of rows, and such a request has one.
    if len(opened) == 2 and opened[0] == 0:
        shape[opened.pop(0)] = 1
    if len(opened) > 1:
        raise BadRequest(f"{field}: shape {list(spec.shape)} cannot be told from the size of a raw request")
    row = RAW_DTYPES[spec.datatype].itemsize * math.prod(wanted for wanted in shape if wanted != -1)
    if not length or (opened and length % row):
        raise BadRequest(f"{field}: {length} bytes are not a whole number of {spec.datatype} {list(spec.shape)}")
    if opened:
        shape[opened[0]] = length // row
    return tuple(shape)


def _strings(data: bytes | memoryview, shape: Sequence[int], field: str, *, is_text: bool) -> Array:
    wanted, end = math.prod(shape), len(data)
    if wanted * _LENGTH.size > end:
        raise BadRequest(f"{field}: {end} bytes of binary data are too few for {wanted} lengths of BYTES")
    elements: list[bytes] = []
    place = 0
    for _ in range(wanted):
        if place + _LENGTH.size > end:
            raise BadRequest(f"{field}: the binary data ends before element {len(elements)} of {wanted}")
        start = place + _LENGTH.size
        place = start + _LENGTH.unpack_from(data, place)[0]
        if place > end:
            raise BadRequest(f"{field}: the binary data ends within element {len(elements)} of {wanted}")
        elements.append(bytes(data[start:place]))
    if place != end:
        raise BadRequest(f"{field}: {end - place} bytes of binary data follow the last of {wanted} elements")
    return elements_of(elements, shape, field, is_text=is_text)


def elements_of(elements: list[bytes], shape: Sequence[int], field: str, *, is_text: bool) -> Array:
    """A tensor of BYTES from its elements; those that must be text and are none raise BadRequest."""
    values: list[bytes] | list[str] = elements
    try:
        values = [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        if is_text:
            raise BadRequest(f"{field}: an element of BYTES is not UTF-8: {error.reason}") from error
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array.reshape([abs(wanted) for wanted in shape])


def _widened(array: Array) -> Array:
    """BF16 is the upper half of a float32."""
    return (array.astype(np.uint32) << 16).view(np.float32)
