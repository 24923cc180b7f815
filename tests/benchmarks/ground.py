"""Where a benchmark on a cluster takes place: a namespace of its own, of which nothing is left behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from demo import place
from demo.models import Models
from demo.place import Place


@contextmanager
def furnished(context: str, namespace: str, known: Models) -> Iterator[Place]:
    """The cluster is up with this checkout's operator; the namespace goes at the end, also after a failure."""
    build = place.bring_up(context)
    where = replace(place.find(context, "bench"), namespace=namespace)
    place.install(where, build)
    place.furnish(where, known)
    place.clear(where)
    try:
        yield where
    finally:
        where.kubectl.run("delete", "namespace", where.namespace, "--wait=false")
