"""What a benchmark on a cluster leaves behind: nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from demo.place import Place


@contextmanager
def removed(where: Place) -> Iterator[None]:
    """The namespace goes at the end, also after a failure."""
    try:
        yield
    finally:
        where.kubectl.run("delete", "namespace", where.namespace, "--wait=false")
