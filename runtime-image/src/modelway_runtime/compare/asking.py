"""Asks a revision.

Each time on a connection of its own: so a Service spreads the asks over its pods, and an answer that comes too late is
never taken for that to another ask.
"""

from modelway_runtime.compare.mirrored import Mirrored
from modelway_runtime.exchange import AskFailed, Message, Place, exchange
from modelway_runtime.protocol import payloads


async def ask(place: Place, request: Mirrored, *, patience: float, limit: int) -> tuple[bytes, int | None]:
    """The body of the answer, and how many of its bytes are JSON where binary tensors follow.

    Raises AskFailed, also for any status but 200, and after `patience` seconds or `limit` bytes.
    """
    message = Message(method=b"POST", target=request.target, headers=request.headers, body=request.body)
    answer = await exchange(place, message, patience=patience, limit=limit)
    if answer.status != 200:
        raise AskFailed("status")
    return bytes(answer.body), payloads.length(answer.headers.get(payloads.JSON_LENGTH, b""))
