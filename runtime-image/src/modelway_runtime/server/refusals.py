"""What a caller is told when the model does not answer."""

import math

from modelway_runtime import logs
from modelway_runtime.protocol.tensors import InputRejected
from modelway_runtime.server.answers import Refused, retry_after
from modelway_runtime.server.deadlines import TookTooLong
from modelway_runtime.server.jobs import NoWorker, QueueFull


def of(error: BaseException) -> Refused:
    """The refusal for what the scheduler, a deadline or the model itself raised."""
    if isinstance(error, QueueFull):
        return Refused(429, "too many requests wait for the model", retry_after(1), limit="queue")
    if isinstance(error, NoWorker):
        return Refused(503, str(error), retry_after(math.ceil(error.seconds)))
    if isinstance(error, TookTooLong):
        if error.is_running:
            return Refused(504, "the model did not answer in time", limit="timeout")
        return Refused(503, "the request waited too long for the model", retry_after(1), limit="timeout")
    if isinstance(error, InputRejected):
        return Refused(400, f"inputs: {str(error)[:500]}")
    # Whatever the model raised; the caller learns that it was the model.
    logs.LOGGER.warning("Model failed", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
    return Refused(500, f"the model failed: {type(error).__name__}: {str(error)[:200]}")
