"""`model.options.optimize`: at load the model is made faster where that changes no answer, else served as it is."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from modelway_runtime import logs
from modelway_runtime.conversion import comparison, probes, trial
from modelway_runtime.conversion.comparison import Difference, Tolerance, Unlike
from modelway_runtime.conversion.optimized import OptimizedModel
from modelway_runtime.conversion.trial import Impossible
from modelway_runtime.protocol.tensors import InputRejected, Model
from modelway_runtime.reasons import Failure, Reason

OPTION, TOLERANCE = "optimize", "optimizeTolerance"
NONE, ONNX, INT8 = "None", "Onnx", "Int8"
_TOLERANCES = {
    # Where trees have voted equally, the order of a sum decides.
    ONNX: Tolerance(tie=1e-5),
    INT8: Tolerance(absolute=0.05, relative=0.05, tie=0.1),
}
_ROWS_AT_A_TIME = 32
"""As many as are batched by default: eight bits are spread over the numbers that come together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """What was asked for, and why it is not served where it is not."""

    asked: str = NONE
    cause: str = ""

    @property
    def served(self) -> str:
        """`Onnx`, `Int8`, or `Original`."""
        return "Original" if self.cause else self.asked

    def described(self) -> dict[str, str]:
        """For the model's metadata and the internal state; nothing where nothing was asked for."""
        if self.asked == NONE:
            return {}
        return {"optimize": self.asked, "served": self.served, **({"cause": self.cause} if self.cause else {})}


def optimized(
    model: Model, options: Mapping[str, object], threads: int, wrong: Callable[[Model], str]
) -> tuple[Model, Optimization]:
    """The faster model, or the one given with the cause.

    `wrong` asks the golden requests and says what is wrong with their answers. Raises Failure for an option that makes
    no sense.
    """
    asked = str(options.get(OPTION) or NONE)
    if asked not in (NONE, *_TOLERANCES):
        raise _senseless(OPTION, asked, f"write {NONE}, {', '.join(_TOLERANCES)}")
    if asked == NONE:
        return model, Optimization()
    began = perf_counter()
    try:
        found, difference = _first_alike(model, _graphs(model, asked), _tolerance(asked, options), threads, wrong)
    except Impossible as error:
        cause = " ".join(str(error).split())[:500]
        logs.write("Serving the original model", optimize=asked, cause=cause)
        return model, Optimization(asked=asked, cause=cause)
    logs.write("Optimized model", to=asked, farthest=str(difference), seconds=round(perf_counter() - began, 3))
    return found, Optimization(asked=asked)


def _tolerance(asked: str, options: Mapping[str, object]) -> Tolerance:
    text = options.get(TOLERANCE)
    if text is None:
        return _TOLERANCES[asked]
    try:
        number = float(str(text))
    except ValueError:
        number = -1.0
    if not 0.0 < number < 1.0:
        raise _senseless(TOLERANCE, str(text), "write a number between 0 and 1")
    return Tolerance(absolute=number, relative=number, tie=2 * number)


def _senseless(option: str, value: str, way: str) -> Failure:
    return Failure(Reason.MODEL_LOAD_FAILED, f"model.options.{option} is {value!r}; {way}")


def _graphs(model: Model, asked: str) -> list[Callable[[], bytes]]:
    """What may be served in place of the model, the most exact first."""
    file = trial.file(model)
    if asked == INT8:
        return [lambda: trial.quantized(file.read_bytes() if file else trial.graph(model, "FP32"))]
    if file:
        raise Impossible("it is ONNX already")
    return [functools.partial(trial.graph, model, precision) for precision in trial.PRECISIONS]


def _first_alike(
    model: Model,
    graphs: Iterable[Callable[[], bytes]],
    tolerance: Tolerance,
    threads: int,
    wrong: Callable[[Model], str],
) -> tuple[Model, Difference]:
    """The first that answers as the original; raises Impossible with what is wrong with the first of all."""
    cause = ""
    for graph in graphs:
        try:
            candidate = OptimizedModel(model, trial.session(graph(), threads))
            difference = _compared(model, candidate, tolerance)
        except Impossible as error:
            cause = cause or str(error)
            continue
        found = f"it would answer something else: {difference}" if difference.is_beyond else wrong(candidate)
        if not found:
            return candidate, difference
        cause = cause or found
    raise Impossible(cause)


def _compared(model: Model, candidate: Model, tolerance: Tolerance) -> Difference:
    """On rows that are made up; raises Impossible where the original has no answers to them."""
    trial.check_continuous(model)
    if any(spec.datatype == "BYTES" for spec in model.inputs):
        raise Impossible("it takes strings, which cannot be made up to compare it on")
    tables = probes.made_up(candidate.inputs, is_wide=tolerance.absolute < _TOLERANCES[INT8].absolute)
    try:
        expected = trial.answers(model, tables, _ROWS_AT_A_TIME)
    except Exception as error:  # the model is foreign code, and these rows may mean nothing to it
        raise Impossible(f"the original refuses the rows made up to compare it on: {error}") from error
    try:
        return comparison.worst(expected, trial.answers(candidate, tables, _ROWS_AT_A_TIME), tolerance)
    except (Unlike, InputRejected) as error:
        raise Impossible(str(error)) from error
    except Exception as error:  # a graph that can be loaded may still not run
        raise Impossible(f"what was made of it fails: {type(error).__name__}: {error}") from error
