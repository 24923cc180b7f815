"""What all peers share: the same ONNX files through onnxruntime with one thread, as in the runtime beside them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime


class Session:
    """One model; the rows of its only input in, all outputs out."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
        (self.input,) = self._session.get_inputs()
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name."""
        return dict(zip(self.outputs, self._session.run(self.outputs, {self.input.name: rows}), strict=True))


def opened(folder: str) -> Iterator[tuple[str, Session]]:
    """All models of a folder, by name."""
    for path in sorted(Path(folder).glob("*/model.onnx")):
        yield path.parent.name, Session(path)


class ByWidth:
    """For servers that know no models by name: the model is the one whose rows are as wide."""

    def __init__(self, folder: str) -> None:
        self._sessions = {session.input.shape[1]: session for _, session in opened(folder)}

    def run(self, rows: list[list[float]]) -> dict[str, list[object]]:
        """Outputs by name, as JSON takes them."""
        array = np.array(rows, dtype=np.float32)
        return {name: values.tolist() for name, values in self._sessions[array.shape[1]].run(array).items()}
