"""Boosted trees: what XGBoost and LightGBM have in common, from the objective to the answer. Pure."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from modelway_runtime.loaders import table
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, TensorSpec


class Task(Enum):
    """What a booster's raw answer means."""

    BINARY = "the probability of the second class"
    LABELS = "labels without probabilities"
    MULTICLASS = "a probability for each class"
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A booster's features and answers. `width`: values of a row's answer where there are several, else 0."""

    task: Task
    features: int
    names: tuple[str, ...]
    datatype: str
    width: int = 0

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One table of numbers; its columns' names are those of the features."""
        shape = (DYNAMIC, self.features)
        return (TensorSpec(name=table.WHOLE, datatype=self.datatype, shape=shape, columns=self.names, is_open=True),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Of a classifier `label` and `probabilities`, else `prediction`."""
        each = (DYNAMIC, self.width) if self.width else (DYNAMIC,)
        if self.task is Task.NUMBERS:
            return (TensorSpec(name="prediction", datatype=self.datatype, shape=each),)
        if self.task is Task.LABELS:
            return (TensorSpec(name="label", datatype="INT64", shape=each),)
        is_one_of_many = self.task is Task.MULTICLASS
        label = (DYNAMIC,) if is_one_of_many else each
        odds = each if is_one_of_many or self.width else (DYNAMIC, 2)
        return (
            TensorSpec(name="label", datatype="INT64", shape=label),
            TensorSpec(name="probabilities", datatype=self.datatype, shape=odds),
        )

    def answers(self, raw: Array) -> Arrays:
        """From the booster's raw answer to the outputs."""
        if self.task is Task.NUMBERS:
            return {"prediction": raw}
        if self.task is Task.LABELS:
            return {"label": raw.astype(np.int64)}
        if self.task is Task.MULTICLASS:
            return {"label": raw.argmax(axis=1), "probabilities": raw}
        label = (raw > 0.5).astype(np.int64)
        return {"label": label, "probabilities": raw if self.width else np.stack((1 - raw, raw), axis=1)}
