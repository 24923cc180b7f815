"""What a model has answered since the start of its server, in the words of the protocol's statistics. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """How often something was done, and the seconds of all times together."""

    count: int = 0
    seconds: float = 0.0

    def described(self) -> dict[str, int]:
        """With nanoseconds, as the protocol counts."""
        return {"count": self.count, "ns": round(self.seconds * 1e9)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The sums of one model. `rows` were inferred in `executions` calls of the model; `batches` are calls by rows."""

    name: str
    version: str
    last_inference_ms: int
    """When the model last ran, since 1970; 0 where it never did."""
    rows: int
    executions: int
    success: Spent
    fail: Spent
    queue: Spent
    compute_input: Spent
    compute_infer: Spent
    compute_output: Spent
    batches: Mapping[int, Spent]

    def described(self) -> dict[str, object]:
        """An element of `model_stats`."""
        durations = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
        none = Spent().described()
        return {
            "name": self.name,
            "version": self.version,
            "last_inference": self.last_inference_ms,
            "inference_count": self.rows,
            "execution_count": self.executions,
            "inference_stats": {
                **{name: getattr(self, name).described() for name in durations},
                "cache_hit": none,
                "cache_miss": none,
            },
            "batch_stats": [
                # Only the whole call is measured for a batch: its bytes are read and written request by request.
                {"batch_size": rows, "compute_input": none, "compute_infer": spent.described(), "compute_output": none}
                for rows, spent in sorted(self.batches.items())
            ],
        }


def described(*models: Statistics) -> dict[str, object]:
    """The answer about some models."""
    return {"model_stats": [model.described() for model in models]}
