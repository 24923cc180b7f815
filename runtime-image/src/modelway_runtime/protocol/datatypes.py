"""The protocol's datatypes and numpy's. Pure."""

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
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
"""Every datatype that a JSON body can hold."""

JSON_TYPES: dict[str, type] = {
    **{name: int for name in DTYPES if "INT" in name},
    **{name: float for name in DTYPES if name.startswith("FP")},
    "BOOL": bool,
    "BYTES": str,
}
"""What an element of `data` is in JSON."""

_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def of_array(array: np.ndarray) -> str:
    """The datatype of an array; strings of any kind are BYTES."""
    return _NAMES.get(array.dtype, "BYTES")
