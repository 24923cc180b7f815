"""Rows of a CSV file as the tensors that a model takes."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelway_runtime.loaders import table
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, TensorSpec
from modelway_runtime.reasons import UsageError


def read(path: Path, inputs: Sequence[TensorSpec]) -> Arrays:
    """The features by the model's names for them, else in their order; raises UsageError.

    Other columns, such as the label, are left out where the names tell them apart.
    """
    is_table = len(inputs) == 1 and inputs[0].name == table.WHOLE
    names = inputs[0].columns if is_table else tuple(spec.name for spec in inputs)
    frame = _frame(path)
    found = [name for name in names if name in frame.columns]
    if names and (found or not is_table):
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise UsageError(f"{path} lacks the model's columns {_listed(missing)}; it has {_listed(frame.columns)}")
        frame = frame[list(names)]
    if not is_table:
        return {spec.name: _column(path, frame[spec.name], spec) for spec in inputs}
    width = inputs[0].shape[1]
    if width not in (DYNAMIC, frame.shape[1]):
        way = f"name the features {_listed(names)} in its first line" if names else "leave out what is no feature"
        raise UsageError(f"{path} has {frame.shape[1]} columns, the model takes {width}; {way}")
    columns = [_numbers(path, frame[name], inputs[0]) for name in frame.columns]
    return {table.WHOLE: np.column_stack(columns)}


def _frame(path: Path) -> pd.DataFrame:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = next(csv.reader(stream), [])
        header = None if all(map(_is_number, first)) else 0
        # Strings stay as they are, and an empty cell is a missing value.
        frame = pd.read_csv(path, header=header, encoding="utf-8-sig")
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{path} is no table in CSV: {' '.join(str(error).split())[:200]}") from error
    if frame.empty:
        raise UsageError(f"{path} has no rows to compare on")
    return frame.rename(columns=str)


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _column(path: Path, column: Any, spec: TensorSpec) -> Array:
    if spec.datatype == "BYTES":
        words: Array = column.fillna("").astype(str).to_numpy(dtype=np.object_).reshape(-1, 1)
        return words
    return _numbers(path, column, spec).reshape(-1, 1)


def _numbers(path: Path, column: Any, spec: TensorSpec) -> Array:
    try:
        found: Array = column.to_numpy(dtype=np.dtype(DTYPES[spec.datatype]))
    except ValueError as error:
        raise UsageError(f"{path}: column {column.name} holds text where the model takes numbers") from error
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(list(names)[:8])
    return f"{shown}, …" if len(names) > 8 else shown
