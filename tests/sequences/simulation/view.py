"""What the operator knows of the cluster: the real cache, fed by watches that may lag."""

import random
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from modelway.cluster import watched
from modelway.cluster.cache import Cache
from modelway.cluster.snapshot import Key
from modelway.kinds import Kind, Manifest
from simulation.clock import Clock
from simulation.selectors import labels, matches
from simulation.store import Change, Store


class View:
    """The watches of one operator process, and the cache that they fill; primed with what is there."""

    def __init__(self, store: Store, clock: Clock, *, has_gateway: bool) -> None:
        self._store = store
        self._clock = clock
        scope = watched.watched(gateway=has_gateway)
        self._kinds = (*scope.kinds, *scope.polled)
        self._read = len(store.journal)
        self._pending: dict[Kind, deque[Change]] = {kind: deque() for kind in self._kinds}
        self._known: set[str] = set()
        self.cache = Cache(clock=lambda: clock.elapsed)
        self.lag: dict[Kind, timedelta] = {}
        """How much later than the rest the watch of a kind is."""
        for kind in self._kinds:
            for manifest in store.all(kind):
                if _is_selected(kind, manifest):
                    self._known.add(manifest["metadata"]["uid"])
                    self.cache.observe(kind, None, manifest)

    def children(self, key: Key, kind: Kind) -> Iterable[Manifest]:
        """The children of one kind, as the operator knows them."""
        return self.cache.snapshot(key).children.get(kind, ())

    def deliver(self, order: random.Random | None) -> set[Key] | None:
        """Hand over one event of a watch (all that are due without `order`). None: there is none."""
        self._collect()
        now = self._clock()
        due = [kind for kind, queue in self._pending.items() if queue and self._due(queue[0]) <= now]
        if not due:
            return None
        if order:
            return self._take(order.choice(due))
        touched: set[Key] = set()
        for kind in due:
            while self._pending[kind] and self._due(self._pending[kind][0]) <= now:
                touched |= self._take(kind)
        return touched

    def next_due(self) -> datetime | None:
        """When the next late event arrives."""
        self._collect()
        return min((self._due(queue[0]) for queue in self._pending.values() if queue), default=None)

    def _due(self, change: Change) -> datetime:
        return change.at + self.lag.get(change.kind, timedelta())

    def _collect(self) -> None:
        for change in self._store.journal[self._read :]:
            if change.kind in self._pending:
                self._pending[change.kind].append(change)
        self._read = len(self._store.journal)

    def _take(self, kind: Kind) -> set[Key]:
        change = self._pending[kind].popleft()
        uid, type_ = change.manifest["metadata"]["uid"], change.type
        if not _is_selected(kind, change.manifest):
            type_ = "DELETED"
        if type_ == "DELETED" and uid not in self._known:
            return set()
        if type_ == "DELETED":
            self._known.discard(uid)
        else:
            self._known.add(uid)
        return set(self.cache.observe(kind, type_, change.manifest))


def _is_selected(kind: Kind, manifest: Manifest) -> bool:
    return matches(watched.selector(kind), labels(manifest))
