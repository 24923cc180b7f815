"""The protocol's datatypes and numpy's. Pure."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

DTYPES: dict[str, DTypeLike] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "BF16": np.float32,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
"""Every datatype and the array that holds it; numpy has no bfloat16, whose every value is a float32, too."""

RAW_DTYPES: dict[str, np.dtype[Any]] = {
    **{name: np.dtype(dtype).newbyteorder("<") for name, dtype in DTYPES.items() if name != "BYTES"},
    "BF16": np.dtype("<u2"),
}
"""How elements of one size stand in binary data: little-endian; a BOOL is one byte."""

JSON_TYPES: dict[str, type] = {
    **{name: int for name in DTYPES if "INT" in name},
    **{name: float for name in DTYPES if name.startswith("FP")},
    "BOOL": bool,
    "BYTES": str,
}
"""What an element of `data` is in JSON; BF16 has no form there."""

_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items() if name != "BF16"}


def of_array(array: np.ndarray) -> str:
    """The datatype of an array; strings of any kind are BYTES."""
    return _NAMES.get(array.dtype, "BYTES")
