"""What a fitted scikit-learn estimator wants of a table: named columns, and which of them hold strings. Pure."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline


def needs_names(estimator: Any) -> bool:
    """Whether some part picks columns by name, which it can in a DataFrame only."""
    parts = (part for part in _parts(estimator) if isinstance(part, ColumnTransformer))
    return any(_is_by_name(columns) for part in parts for _, _, columns in part.transformers)


def of_strings(estimator: Any) -> set[str]:
    """Columns that were strings when it was fitted, as far as its parts tell."""
    found: set[str] = set()
    for part in _parts(estimator):
        if isinstance(part, ColumnTransformer):
            for _, fitted, columns in getattr(part, "transformers_", ()):
                names = [columns] if isinstance(columns, str) else list(columns)
                found.update(name for name in _strings(fitted, names) if isinstance(name, str))
    return found


def _strings(fitted: Any, names: list[Any]) -> Iterator[Any]:
    for part in _parts(fitted):
        if hasattr(part, "vocabulary_"):
            yield from names
        learned = getattr(part, "categories_", None) or list(getattr(part, "statistics_", ()))
        if len(learned) == len(names):
            yield from (name for name, values in zip(names, learned, strict=True) if _is_text(values))


def _is_text(values: Any) -> bool:
    array = np.asarray(values)
    return any(isinstance(value, str) for value in array.ravel())


def _is_by_name(columns: Any) -> bool:
    """Names, or a function that is given the DataFrame."""
    if isinstance(columns, slice):
        return isinstance(columns.start, str) or isinstance(columns.stop, str)
    if isinstance(columns, str) or callable(columns):
        return True
    return any(isinstance(column, str) for column in np.ravel(columns))


def _parts(estimator: Any) -> Iterator[Any]:
    """The estimator and what it is made of; of a search what it found."""
    yield estimator
    inner: list[Any] = []
    if isinstance(estimator, Pipeline):
        inner = [step for _, step in estimator.steps]
    elif isinstance(estimator, FeatureUnion):
        inner = [step for _, step in estimator.transformer_list]
    elif isinstance(estimator, ColumnTransformer):
        inner = [step for _, step, _ in getattr(estimator, "transformers_", ())]
    else:
        for name in ("best_estimator_", "estimator_", "regressor_"):
            inner += [getattr(estimator, name)] if hasattr(estimator, name) else []
        inner += [one.estimator for one in getattr(estimator, "calibrated_classifiers_", ())]
        inner += list(np.ravel(getattr(estimator, "estimators_", []))) if _is_of_pipelines(estimator) else []
    for part in inner:
        yield from _parts(part)


def _is_of_pipelines(estimator: Any) -> bool:
    """Whether an ensemble may hold pipelines; a forest's trees are many and take no names."""
    return any(isinstance(one, Pipeline) for one in np.ravel(getattr(estimator, "estimators_", []))[:1])
