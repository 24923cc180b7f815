"""Imports without what they import only because it is there: half a second of every start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """While it lasts, these distributions seem not to be installed, unless they were imported before."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how an import is forbidden
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
