"""Which kinds the operator reads, where, and by which label. Pure."""

from dataclasses import dataclass

from modelway import kinds, names
from modelway.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The kinds that this process lists and watches."""

    kinds: tuple[Kind, ...]
    namespaces: tuple[str, ...]
    """None given: all."""

    def scopes(self, kind: Kind) -> tuple[str | None, ...]:
        """The namespaces to list one by one; None is all of them, or no namespace at all."""
        return self.namespaces if self.namespaces and kind.namespaced else (None,)


def watched(*, gateway: bool, namespaces: tuple[str, ...] = ()) -> Watched:
    """Our kinds, our children, and HTTPRoutes where the cluster serves them."""
    routes = (kinds.HTTP_ROUTE,) if gateway else ()
    return Watched(kinds=(*kinds.OWN_KINDS, *kinds.CHILD_KINDS, *routes), namespaces=namespaces)


def selector(kind: Kind) -> str:
    """The label selector of lists and watches: our objects are all read, of the others only our children."""
    return "" if kind in kinds.OWN_KINDS else names.CHILD_SELECTOR
