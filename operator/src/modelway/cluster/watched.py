"""Which kinds the operator reads, where, how and by which label. Pure."""

from dataclasses import dataclass

from modelway import kinds, names
from modelway.cluster import gateways
from modelway.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The kinds that this process lists and watches."""

    kinds: tuple[Kind, ...]
    namespaces: tuple[str, ...]
    """None given: all."""
    polled: tuple[Kind, ...] = ()
    """Kinds of others that are only listed, now and then and in all namespaces: their status changes all the time."""

    def scopes(self, kind: Kind) -> tuple[str | None, ...]:
        """The namespaces to list one by one; None is all of them, or no namespace at all."""
        is_limited = self.namespaces and kind.namespaced and kind not in self.polled
        return self.namespaces if is_limited else (None,)


def watched(*, gateway: bool, namespaces: tuple[str, ...] = ()) -> Watched:
    """Our kinds, our children, and HTTPRoutes where the cluster serves them."""
    routes, polled = ((kinds.HTTP_ROUTE,), gateways.KINDS) if gateway else ((), ())
    return Watched(kinds=(*kinds.OWN_KINDS, *kinds.CHILD_KINDS, *routes), namespaces=namespaces, polled=polled)


def selector(kind: Kind) -> str:
    """The label selector of lists and watches: our objects and Gateways are all read, of others only our children."""
    return "" if kind in (*kinds.OWN_KINDS, *gateways.KINDS) else names.CHILD_SELECTOR
