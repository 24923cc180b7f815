"""Inputs and predictions of callers counted in the bins of the model's reference. Off where it has none.

Tensors are kept until there are a few hundred rows, or a mebibyte, and counted together. The event loop's thread is the
only one that calls.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modelway_runtime import logs
from modelway_runtime.manifest import Manifest
from modelway_runtime.protocol.tensors import Array, Arrays, TensorSpec
from modelway_runtime.reasons import Failure, Reason
from modelway_runtime.reference import file, places
from modelway_runtime.reference.bins import Bins, Counts, instability
from modelway_runtime.reference.file import NoReference, Reference, WrongReference
from modelway_runtime.reference.places import Place

TOGETHER = 512
"""Rows that are counted together."""
MOST_ROWS = 1000
"""Rows of one request that count: of more, as many at even distances."""
MOST_BYTES = 1 << 20
"""What is kept until it is counted."""
RECENT = 20_000
"""Rows after which the older ones count half in the gauge."""


class _Counted:
    """One feature or prediction."""

    __slots__ = ("bins", "counts", "place", "recent", "reference")

    def __init__(self, place: Place, bins: Bins) -> None:
        self.place = place
        self.bins = bins
        self.reference: Counts = np.array(bins.counts, dtype=np.int64)
        self.counts: Counts = np.zeros_like(self.reference)
        self.recent: Counts = np.zeros_like(self.reference)

    def add(self, tensors: Mapping[str, Array]) -> None:
        """Counts the values of some rows."""
        values = self.place.values(tensors)
        if values is None:
            return
        fresh = self.bins.count(values)
        self.counts += fresh
        self.recent += fresh
        if self.recent.sum() >= RECENT:
            self.recent //= 2

    def told(self) -> dict[str, object]:
        """As JSON."""
        return {"kind": self.bins.kind, "reference": self.reference.tolist(), "counts": self.counts.tolist()}


class _Side:
    """Of requests the features, of answers the predictions."""

    def __init__(self, bins: Mapping[str, Bins], specs: tuple[TensorSpec, ...]) -> None:
        self.counted = {name: _Counted(places.find(name, specs), one) for name, one in bins.items()}
        self._by_tensor: dict[str, list[_Counted]] = {}
        for one in self.counted.values():
            for tensor in {one.place.name, one.place.tensor}:
                self._by_tensor.setdefault(tensor, []).append(one)
        self._kept: list[Mapping[str, Array]] = []

    def keep(self, tensors: Mapping[str, Array]) -> int:
        """Takes the tensors of a request or an answer; gives how many bytes they keep from being freed."""
        self._kept.append(tensors)
        return sum([array.nbytes for array in tensors.values()])

    def count(self) -> None:
        """Counts what was kept."""
        for tensor, counted in self._by_tensor.items():
            for joined in _joined([tensors[tensor] for tensors in self._kept if tensor in tensors]):
                for one in counted:
                    one.add({tensor: joined})
        self._kept = []


class Drift:
    """The counts of one process since its start."""

    def __init__(self, reference: Reference, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
        self._sides = _Side(reference.features, inputs), _Side(reference.predictions, outputs)
        self._rows = 0
        self._bytes = 0

    def observe(self, inputs: Arrays, outputs: Arrays) -> None:
        """A request of a caller had its answer."""
        features, predictions = self._sides
        self._bytes += features.keep(inputs) + predictions.keep(outputs)
        first = next(iter(outputs.values()), None)
        self._rows += len(first) if first is not None and first.ndim else 1
        if self._rows >= TOGETHER or self._bytes >= MOST_BYTES:
            self._count()

    def told(self) -> dict[str, dict[str, object]]:
        """As JSON: by name the kind of bins, what the reference has in each, and what was counted."""
        self._count()
        return {name: one.told() for side in self._sides for name, one in side.counted.items()}

    def instability(self) -> dict[str, float]:
        """How far about the last 20,000 rows are from the reference, by name."""
        self._count()
        return {
            name: instability(one.reference, one.recent)
            for side in self._sides
            for name, one in side.counted.items()
            if one.recent.any()
        }

    def _count(self) -> None:
        for side in self._sides:
            side.count()
        self._rows = self._bytes = 0


def _joined(arrays: Sequence[Array]) -> Iterator[Array]:
    """As few arrays as there are datatypes and shapes of a row; of too many rows some at even distances."""
    alike: dict[object, list[Array]] = {}
    for array in arrays:
        if array.ndim:
            some = array[:: -(-len(array) // MOST_ROWS)] if len(array) > MOST_ROWS else array
            alike.setdefault((array.dtype, array.shape[1:]), []).append(some)
    yield from map(np.concatenate, alike.values())


def reference_of(found: Manifest) -> Reference | None:
    """What the model's file says of its inputs; None without one, or where the file is for something else.

    Raises Failure for a reference that is wrong: without its counts a rollout would wait for ever.
    """
    if file.NAME not in found.paths:
        return None
    path = found.root / file.NAME
    try:
        if path.stat().st_size > file.MOST_BYTES:
            raise NoReference
        return file.parsed(path.read_bytes())
    except NoReference:
        logs.write("No drift is counted: the file is no reference", file=file.NAME, format=file.FORMAT)
        return None
    except WrongReference as error:
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{file.NAME}: {error}") from error
