"""LightGBM models in its text format, through the Booster itself."""

import re
from collections.abc import Mapping

import numpy as np

from modelway_runtime.loaders import lean, table, wrong
from modelway_runtime.loaders.booster import Interface, Task
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import Array, Arrays, InputRejected

with lean.without("pandas", "sklearn"):
    import lightgbm
    from lightgbm.basic import LightGBMError

_TASKS = {"binary": Task.BINARY, "multiclass": Task.MULTICLASS, "multiclassova": Task.MULTICLASS}
_END = b"end of trees\n"
_TREE = re.compile(rb"^Tree=\d+$", re.MULTILINE)


def load(artifact: Artifact) -> "LightgbmModel":
    """Opens the file; bytes that are no model, or not a whole one, are refused before the library sees them."""
    name = artifact.file.name
    text = artifact.file.read_bytes()
    _check(name, text)
    try:
        found = lightgbm.Booster(model_str=text.decode("utf-8"))
        return LightgbmModel(found, _header(text), artifact.threads)
    except (LightGBMError, ValueError, KeyError) as error:
        raise wrong.broken(name, error) from error


class LightgbmModel:
    """A booster of trees. `source` is what a conversion reads."""

    platform = "lightgbm"
    is_concurrent = True
    is_batchable = True

    def __init__(self, found: lightgbm.Booster, header: Mapping[str, str], threads: int) -> None:
        width = int(header["num_tree_per_iteration"])
        self._interface = Interface(
            task=_TASKS.get(header.get("objective", "").partition(" ")[0], Task.NUMBERS),
            features=found.num_feature(),
            names=tuple(found.feature_name()),
            datatype="FP64",
            width=width if width > 1 else 0,
        )
        self.inputs, self.outputs = self._interface.inputs, self._interface.outputs
        self.source = self._booster = found
        self._threads = threads

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """One row of answers for each row of the input; it releases the interpreter's lock."""
        rows = table.numbers(inputs, self._interface.names)
        try:
            answer = self._booster.predict(rows, num_threads=self._threads)
        except (LightGBMError, ValueError) as error:
            raise InputRejected(str(error)) from error
        return self._interface.answers(np.asarray(answer))


def _check(name: str, text: bytes) -> None:
    """A file whose trees are not all there would end the process: the library aborts, or reads beyond its end."""
    if not text:
        raise wrong.empty(name)
    if not text.startswith(b"tree\n"):
        raise wrong.foreign(name, "a LightGBM model in text")
    end = text.find(_END)
    if end < 0:
        raise wrong.cut(name)
    try:
        sizes = [int(size) for size in _header(text)["tree_sizes"].split()]
    except (KeyError, ValueError) as error:
        raise wrong.broken(name, "tree_sizes is missing or no list of numbers") from error
    first = _TREE.search(text)
    found = end - (first.start() if first else end)
    if min(sizes, default=0) < 0 or sum(sizes) != found:
        raise wrong.broken(name, f"its trees have {found} bytes, its head says {sum(sizes)}")


def _header(text: bytes) -> dict[str, str]:
    """What stands before the first tree, as `name=value` in each line."""
    lines = text.partition(b"\n\n")[0].decode("utf-8", "replace").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
