"""A model whose rows of numbers another one answers, held to it before; what only the original knows goes to it."""

from collections.abc import Mapping

import numpy as np

from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import COLUMN, Array, Arrays, Model, TensorSpec, runs_concurrently


class OptimizedModel:
    """The original's interface in front of a graph.

    Missing values, infinities, strings and tables that do not fit are answered, or refused, by the original: there
    libraries differ, and a graph answers what an estimator refuses.
    """

    def __init__(self, original: Model, graph: Model) -> None:
        self.platform = original.platform
        self.inputs, self.outputs = original.inputs, original.outputs
        self.is_batchable = original.is_batchable
        self.is_concurrent = runs_concurrently(original)
        self._original, self._graph = original, graph
        self._columns = {spec.name: spec.columns for spec in original.inputs}

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """The graph's answers under the original's names."""
        tensors: Arrays = {}
        for spec in self._graph.inputs:
            tensor = self._tensor(inputs, spec)
            if tensor is None:
                return self._original.predict(inputs)
            tensors[spec.name] = tensor
        if len({len(tensor) for tensor in tensors.values() if tensor.ndim}) > 1:
            return self._original.predict(inputs)
        return self._graph.predict(tensors)

    def _tensor(self, inputs: Mapping[str, Array], spec: TensorSpec) -> Array | None:
        """What the graph takes, None where the original must see it."""
        found = inputs.get(spec.name)
        if found is None:
            columns = [inputs[name] for name in self._columns[spec.name]]
            if len({column.size for column in columns}) > 1:
                return None
            found = np.column_stack(columns)
        if found.dtype.kind not in "fiub":
            return None
        tensor = found.reshape(-1, 1) if spec.shape == COLUMN else found
        if not spec.fits(tensor.shape):
            return None
        with np.errstate(over="ignore"):
            tensor = tensor.astype(np.dtype(DTYPES[spec.datatype]), copy=False)
        return tensor if tensor.dtype.kind != "f" or np.isfinite(tensor).all() else None
