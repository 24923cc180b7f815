"""TorchServe: a handler of ours in one worker process."""

import os

from sessions import ByWidth


class Tabular:
    """All models, told apart by the width of the rows."""

    def initialize(self, context) -> None:
        """In the worker process."""
        self._models = ByWidth(os.environ["BENCH_MODELS"])

    def handle(self, data, context):
        """One answer for each request."""
        return [self._models.run(one["body"]["rows"]) for one in data]
