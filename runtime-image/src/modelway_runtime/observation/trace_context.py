"""W3C trace context, as far as it can be read without a library. Pure."""

import re

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?", re.DOTALL)


def trace_id(parent: str) -> str:
    """The trace that a header `traceparent` names; empty where it names none."""
    found = _PARENT.fullmatch(parent)
    return found[1] if found else ""


def is_unsampled(parent: str) -> bool:
    """Whether a caller has decided that there is no trace of this request."""
    found = _PARENT.fullmatch(parent)
    return found is not None and not int(found[2], 16) & 1
