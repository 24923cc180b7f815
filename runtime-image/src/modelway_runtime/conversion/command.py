"""`modelway-runtime convert`: a pickle or a booster as a file that is opened without trust, and answers the same."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import skops.io

from modelway_runtime import cpus, digest, manifest, settings, units
from modelway_runtime.conversion import comparison, rows, trial
from modelway_runtime.conversion.comparison import Difference, Tolerance, Unlike
from modelway_runtime.conversion.trial import Impossible
from modelway_runtime.loaders import sklearn
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import InputRejected, Model
from modelway_runtime.reasons import Failure, Reason, UsageError
from modelway_runtime.server import command, preparation
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome

_ROWS_AT_A_TIME = 4096
_FORMS = ("skops", "onnx")


def run(environ: Environ) -> Outcome:
    """Writes the file and prints what was compared; raises Failure, and writes nothing, where the answers differ."""
    path = command.existing(environ["MODELWAY_PATH"])
    form = _form(_given(environ, "MODELWAY_CONVERT_TO", " or ".join(f"--to {form}" for form in _FORMS)))
    tolerance = settings.parsed(environ, "MODELWAY_TOLERANCE", "-", _tolerance)
    data = command.existing(
        _given(environ, "MODELWAY_CHECK_DATA", "--check DATA.csv: rows that both must answer alike")
    )
    target = _target(path, form, environ.get("MODELWAY_OUTPUT", ""))
    # Whoever converts a file on a machine of their own opens it.
    wanted = settings.serve({**environ, "MODELWAY_TRUST": "Any"})
    original = trial.inner(preparation.load(wanted, manifest.of_path(path)))
    tables = rows.read(data, original.inputs)
    try:
        expected = trial.answers(original, tables, _ROWS_AT_A_TIME)
    except InputRejected as error:
        raise UsageError(f"{path.name} itself refuses {data}: {error}") from error
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=target.parent) as folder:
        file = Path(folder) / target.name
        difference = _first_alike(
            _attempts(original, form, file),
            lambda model: comparison.worst(expected, trial.answers(model, tables, _ROWS_AT_A_TIME), tolerance),
            form,
        )
        file.replace(target)
    size, found = target.stat().st_size, f"sha256:{digest.of_file(target)}"
    print(
        f"{target}: {units.text(size)}, {found}\n"
        f"{comparison.rows(tables)} rows of {data.name} are answered as by {path.name}; farthest apart: {difference}"
    )
    return Outcome(reason=Reason.COMPLETED, message="Converted", digest=found, size=size)


def _form(text: str) -> str:
    if text not in _FORMS:
        raise UsageError(f"{text!r} is no form to convert to; write --to {' or --to '.join(_FORMS)}")
    return text


def _tolerance(text: str) -> Tolerance:
    if text == "-":
        return Tolerance()
    number = float(text)
    if not 0 < number < 1:
        raise ValueError(f"{text} is no tolerance; write a number between 0 and 1, such as 1e-4")
    return Tolerance(absolute=number, relative=number)


def _given(environ: Environ, name: str, way: str) -> str:
    if not environ.get(name):
        raise UsageError(f"write {way}")
    return environ[name]


def _target(path: Path, form: str, output: str) -> Path:
    folder = path if path.is_dir() else path.parent
    target = Path(output) if output else folder / f"model.{form}"
    if target.suffix != f".{form}":
        raise UsageError(f"--output {target} must end with .{form}, by which the format is known")
    if target.exists():
        raise UsageError(f"{target} exists; take it away, or write elsewhere with --output FILE")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} does not exist")
    return target


def _attempts(original: Model, form: str, file: Path) -> list[Callable[[], Model]]:
    if form == "skops":
        return [functools.partial(_as_skops, original, file)]
    return [functools.partial(_as_onnx, original, file, precision) for precision in trial.PRECISIONS]


def _as_onnx(original: Model, file: Path, precision: str) -> Model:
    content = trial.graph(original, precision)
    file.write_bytes(content)
    return trial.session(content, cpus.allowed())


def _as_skops(original: Model, file: Path) -> Model:
    if not isinstance(trial.inner(original), sklearn.SklearnModel):
        raise Impossible(f"skops holds estimators of scikit-learn, and a file of {original.platform} is safe as it is")
    try:
        skops.io.dump(trial.source(original), file)
        unknown = skops.io.get_untrusted_types(file=file)
        if unknown:
            raise Impossible(f"types that are not known to be safe are in it, {', '.join(unknown[:5])}; try --to onnx")
        return sklearn.load(Artifact(root=file.parent, file=file, trust="Safe", threads=1, options={}))
    except Impossible:
        raise
    except Failure as failure:
        raise Impossible(failure.message) from failure
    except Exception as error:  # what an estimator holds may be beyond the library in many ways
        raise Impossible(f"{type(error).__name__}: {error}") from error


def _first_alike(attempts: list[Callable[[], Model]], compared: Callable[[Model], Difference], form: str) -> Difference:
    """How far off the first conversion is whose answers hold; raises Failure with what is wrong with the first."""
    message, reason = "", Reason.UNSUPPORTED_FORMAT
    for attempt in attempts:
        try:
            difference = compared(attempt())
        except (Impossible, Unlike, InputRejected) as error:
            message = message or f"It cannot be converted to {form}: {error}"
            continue
        if not difference.is_beyond:
            return difference
        if reason is Reason.GOLDEN_REQUEST_FAILED:
            continue
        reason = Reason.GOLDEN_REQUEST_FAILED
        message = f"Nothing was written: as {form} it answers something else, farthest apart: {difference}"
    raise Failure(reason, message)
