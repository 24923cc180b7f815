"""`modelway-runtime reference MODEL DATA`: writes beside a model what its inputs and predictions were like."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from modelway_runtime import manifest, settings
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.invocations import Invocations
from modelway_runtime.protocol.tensors import Array, Arrays, BadRequest, InputRejected, Model, TensorSpec
from modelway_runtime.reasons import Reason, UsageError
from modelway_runtime.reference import file, making, places
from modelway_runtime.reference.bins import Bins, Numbers
from modelway_runtime.reference.file import Reference
from modelway_runtime.server import command, preparation
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome

MOST_ROWS = 1_000_000
"""Of the file; further ones are not read."""
_TOGETHER = 1000
_CSV = {b"content-type": b"text/csv;header=present"}


class _Side:
    """The values of all features, or of all predictions."""

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = specs
        self._vectors: dict[str, list[Array]] = {}

    def add(self, tensors: Arrays) -> None:
        """Keeps what has a name in some rows."""
        for name in places.names(self._specs, tensors):
            values = places.find(name, self._specs).values(tensors)
            if values is not None:
                self._vectors.setdefault(name, []).append(values.copy())

    def bins(self, wanted: Collection[str]) -> dict[str, Bins]:
        """By name, of those that are wanted; of all where none is named."""
        made = {
            name: making.bins(np.concatenate(vectors))
            for name, vectors in self._vectors.items()
            if not wanted or name in wanted
        }
        return {name: bins for name, bins in made.items() if bins is not None}


def run(environ: Environ) -> Outcome:
    """Writes the file and says what is in it. Raises UsageError, and Failure where the model cannot be loaded."""
    path, data = command.existing(environ["MODELWAY_PATH"]), command.existing(environ["MODELWAY_DATA"])
    wanted = settings.serve(command.local(environ, str(path)))
    model = preparation.load(wanted, manifest.of_path(path))
    features, predictions = _Side(model.inputs), _Side(model.outputs)
    together = _TOGETHER if preparation.warm(model, wanted.max_batch_size) > 1 else 1
    for inputs in _parts(data, model, together):
        features.add(inputs)
        predictions.add(_answered(model, inputs))
    names = tuple(name.strip() for name in environ.get("MODELWAY_NAMES", "").split(",") if name.strip())
    reference = Reference(features=features.bins(names), predictions=predictions.bins(names))
    _check(reference, names)
    to = Path(environ.get("MODELWAY_REFERENCE_PATH") or (path if path.is_dir() else path.parent) / file.NAME)
    to.write_text(file.text(reference), encoding="utf-8")
    found = manifest.of_path(path)
    print("\n".join([f"{to}:", *_report(reference), f"digest of {path} with it: {found.digest}"]))
    return Outcome(reason=Reason.COMPLETED, message="Written", digest=found.digest, size=found.size)


def _parts(data: Path, model: Model, together: int) -> Iterator[Arrays]:
    """The rows of the file as the model takes them, so many at once."""
    interface = Interface(model.inputs, model.outputs)
    invocations = Invocations(interface)
    known = interface.columns.keys() | (interface.inputs.keys() if len(interface.inputs) > 1 else ())
    try:
        with data.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.reader(opened, strict=True)
            header = [name.strip() for name in next(rows, [])]
            kept = [place for place, name in enumerate(header) if not known or name in known]
            if len(kept) < len(header):
                print("not asked of the model:", ", ".join(name for name in header if name not in known))
            lines = islice((row for row in rows if row), MOST_ROWS)
            while part := list(islice(lines, together)):
                yield invocations.decode(_text(header, part, kept), _CSV).inputs
    except (csv.Error, UnicodeDecodeError, IndexError) as error:
        raise UsageError(f"{data} is not CSV: {error}") from error
    except BadRequest as error:
        raise UsageError(f"{data}: {error}") from error


def _text(header: Sequence[str], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([row[place] for place in kept] for row in (header, *rows))
    return written.getvalue().encode()


def _answered(model: Model, inputs: Arrays) -> Arrays:
    try:
        return model.predict(inputs)
    except InputRejected as error:
        raise UsageError(f"the model does not take the rows: {error}") from error


def _check(reference: Reference, names: Collection[str]) -> None:
    """What pods would not take must not be written."""
    found = [*reference.features, *reference.predictions]
    if missing := [name for name in names if name not in found]:
        raise UsageError(f"--names: the model has no {', '.join(missing)} with values")
    if not found:
        raise UsageError("neither inputs nor predictions have values that could be counted")
    if len(found) > file.MOST_NAMES:
        raise UsageError(
            f"{len(found)} features and predictions, and {file.MOST_NAMES} can be counted: choose with --names, of "
            f"{', '.join(found)}"
        )
    try:
        file.parsed(file.text(reference).encode())
    except file.WrongReference as error:
        raise UsageError(f"{error}; choose others with --names") from error


def _report(reference: Reference) -> Iterator[str]:
    for title, side in (("feature", reference.features), ("prediction", reference.predictions)):
        for name, bins in side.items():
            own = f"{len(bins.edges)} edges" if isinstance(bins, Numbers) else f"categories {', '.join(bins.names)}"
            yield f"{title:10} {name}: {sum(bins.counts):,} values, {own}"
