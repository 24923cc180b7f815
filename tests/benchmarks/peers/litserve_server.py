"""LitServe: one API, one worker process."""

import sys

import litserve
from sessions import ByWidth


class Tabular(litserve.LitAPI):
    """All models, told apart by the width of the rows."""

    def setup(self, device: str) -> None:
        """In the worker process."""
        self._models = ByWidth(sys.argv[1])

    def predict(self, request: dict) -> dict:
        """All outputs."""
        return self._models.run(request["rows"])


if __name__ == "__main__":
    server = litserve.LitServer(Tabular(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
