"""The repository's calls, which are made with POST: its index; loading and unloading are refused.

Whoever could load a model over the network could run code here. What is served is said by who starts the server.
"""

import msgspec

from modelway_runtime.server.answers import Refused
from modelway_runtime.server.reads import Answer, Reads

INDEX = "/v2/repository/index"
_MODELS = "/v2/repository/models/"
_ACTIONS = ("load", "unload")


class _Index(msgspec.Struct):
    ready: bool = False


_DECODER = msgspec.json.Decoder(_Index)


def is_control(path: str) -> bool:
    """Whether a path is one of these calls."""
    return path == INDEX or (path.startswith(_MODELS) and path.rpartition("/")[2] in _ACTIONS)


def answer(path: str, body: bytes, reads: Reads) -> Answer:
    """The index, or why nothing is loaded; raises Refused."""
    if path != INDEX:
        name, _, action = path.removeprefix(_MODELS).rpartition("/")
        raise refused(action, name)
    try:
        asked = _DECODER.decode(body) if body.strip() else _Index()
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON object with `ready`: {error}") from error
    return reads.index(only_ready=asked.ready)


def refused(action: str, name: str) -> Refused:
    """Why a model is neither loaded nor unloaded."""
    return Refused(403, f"failed to {action} {name[:200]!r}: a model is loaded when its server starts, not by a caller")
