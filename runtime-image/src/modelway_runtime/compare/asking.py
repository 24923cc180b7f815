"""Asks a revision.

Each time on a connection of its own: so a Service spreads the asks over its pods, and an answer that comes too late is
never taken for that to another ask.
"""

from modelway_runtime.compare.mirrored import Mirrored
from modelway_runtime.compare.response import Outputs, Unreadable
from modelway_runtime.exchange import AskFailed, Message, Place, exchange


async def ask(place: Place, request: Mirrored, *, patience: float, limit: int) -> Outputs:
    """The outputs of the answer.

    Raises AskFailed, also for any status but 200, and after `patience` seconds or `limit` bytes.
    """
    message = Message(method=b"POST", target=request.target, headers=request.headers, body=request.body)
    answer = await exchange(place, message, patience=patience, limit=limit)
    if answer.status != 200:
        raise AskFailed("status")
    try:
        return request.dialect.outputs(bytes(answer.body), answer.headers)
    except Unreadable:
        raise AskFailed("unreadable") from None
