"""What a model takes and gives, and whether a request's tensors agree with it. Pure. An error names the field."""

from collections.abc import Mapping, Sequence

from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import COLUMN, DYNAMIC, Arrays, BadRequest, TensorSpec

_ROWS = (DYNAMIC,)


class Interface:
    """A model's inputs and outputs by name."""

    def __init__(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
        self.inputs = {spec.name: spec for spec in inputs}
        self.output_specs = outputs
        self.outputs = tuple(spec.name for spec in outputs)
        # A model with one input takes it under any name when the name carries no meaning.
        self.any_name = inputs[0] if len(inputs) == 1 and inputs[0].is_open else None
        self.columns = _columns(inputs)
        """The columns of the only input, each as a tensor, where it is a table whose columns have names."""

    def asked(self, names: Sequence[str]) -> Mapping[str, TensorSpec]:
        """What a request with tensors of these names gives: the inputs, or a table column by column.

        A lone tensor is the table itself, unless that has one column and the tensor its name.
        """
        is_by_column = self.columns and (len(names) > 1 or (len(self.columns) == 1 and set(names) == set(self.columns)))
        return self.columns if is_by_column else self.inputs

    def found(self, name: str, specs: Mapping[str, TensorSpec], field: str) -> TensorSpec:
        """What a request's tensor is for, among what it asks for; raises BadRequest."""
        spec = specs.get(name) or (self.any_name if specs is self.inputs else None)
        if spec is None:
            raise self.unknown_input(name, field, specs)
        return spec

    def unknown_input(self, name: str, field: str, specs: Mapping[str, TensorSpec]) -> BadRequest:
        """Why there is no such input, or column."""
        return BadRequest(f"{field}.name: {_unknown(name, tuple(specs))}")

    def check_all_given(self, tensors: Arrays, specs: Mapping[str, TensorSpec] | None = None) -> None:
        """Raises BadRequest where one of the inputs, or of `specs`, is missing."""
        specs = self.inputs if specs is None else specs
        if len(tensors) != len(specs):
            missing = ", ".join(repr(name) for name in specs if name not in tensors)
            raise BadRequest(f"inputs: {missing} missing")

    def check_outputs(self, names: Sequence[str]) -> None:
        """Raises BadRequest where an output is asked for that is unknown, or is asked for twice."""
        for index, name in enumerate(names):
            if name not in self.outputs:
                raise BadRequest(f"outputs[{index}].name: {_unknown(name, self.outputs)}")
        if len(set(names)) < len(names):
            # A small request could ask for the same large output a million times.
            raise BadRequest("outputs: a name is given twice")


def _columns(inputs: tuple[TensorSpec, ...]) -> dict[str, TensorSpec]:
    if len(inputs) != 1:
        return {}
    table = inputs[0]
    return {name: TensorSpec(name=name, datatype=table.datatype, shape=COLUMN, is_open=True) for name in table.columns}


def check_tensor(datatype: str, shape: tuple[int, ...], spec: TensorSpec, field: str) -> None:
    """Raises BadRequest where a tensor's datatype or shape is not the model's, or has a size below 1."""
    if datatype != spec.datatype:
        _check_datatype(datatype, spec, field)
    # Most shapes are the model's but for the rows, and that is seen at once.
    if (shape[1:] != spec.shape[1:] or spec.shape[:1] != _ROWS or not shape) and not spec.fits(shape):
        raise BadRequest(f"{field}.shape: {list(shape)[:32]} does not fit {list(spec.shape)} (-1 is any size)")
    if shape and min(shape) < 1:
        raise BadRequest(f"{field}.shape: {list(shape)} has a size below 1")


def _check_datatype(datatype: str, spec: TensorSpec, field: str) -> None:
    if datatype not in DTYPES:
        known = ", ".join(DTYPES)
        raise BadRequest(f"{field}.datatype: {datatype!r} is not one of {known}")
    if spec.is_open:
        return
    raise BadRequest(f"{field}.datatype: {datatype}, but {spec.name!r} takes {spec.datatype}")


def _unknown(name: str, known: tuple[str, ...]) -> str:
    return f"{name!r} is unknown; the model has {', '.join(repr(item) for item in known)}"
