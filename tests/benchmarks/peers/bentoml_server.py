"""BentoML: one service with one endpoint."""

import os

import bentoml
from sessions import ByWidth


@bentoml.service(workers=1, traffic={"timeout": 30})
class Tabular:
    """All models, told apart by the width of the rows."""

    def __init__(self) -> None:
        self._models = ByWidth(os.environ["BENCH_MODELS"])

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> dict:
        """All outputs."""
        return self._models.run(rows)
