"""Which values of a request, or of an answer, a name of the reference stands for. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelway_runtime.protocol.tensors import Array, TensorSpec

_INDEXED = re.compile(r"(?P<tensor>.+)\[(?P<index>[0-9]{1,4})\]")


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor of its own, or else a column of a wide one."""

    name: str
    tensor: str
    index: int

    def values(self, tensors: Mapping[str, Array]) -> Array | None:
        """A vector with a value for each row; None where there are none."""
        own = tensors.get(self.name)
        if own is not None:
            return _column(own, 0) if own.ndim < 2 or own.shape[1:] == (1,) else None
        table = tensors.get(self.tensor)
        return None if table is None or table.ndim != 2 else _column(table, self.index)


def find(name: str, specs: Iterable[TensorSpec]) -> Place:
    """Where a name is looked for: `amount` is a tensor or a named column, `x[2]` the third column of the tensor x."""
    for spec in specs:
        if name in spec.columns:
            return Place(name, spec.name, spec.columns.index(name))
    indexed = _INDEXED.fullmatch(name)
    return Place(name, indexed["tensor"], int(indexed["index"])) if indexed else Place(name, name, 0)


def names(specs: Iterable[TensorSpec], tensors: Mapping[str, Array]) -> Iterable[str]:
    """What can have a name in tensors of rows: each one column wide, and each column of a table."""
    named = {spec.name: spec.columns for spec in specs}
    for tensor, array in tensors.items():
        if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and not named.get(tensor)):
            yield tensor
        elif array.ndim == 2:
            columns = named.get(tensor, ())
            yield from columns if len(columns) == array.shape[1] else (f"{tensor}[{i}]" for i in range(array.shape[1]))


def _column(array: Array, index: int) -> Array | None:
    if array.ndim == 1:
        return array
    return array[:, index] if array.ndim == 2 and index < array.shape[1] else None
