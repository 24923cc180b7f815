"""The counts of both revisions by group, and which groups there are. Pure.

Pods meet values in different orders, so a group could have a name in one pod and be among `(other)` in the next. Hence
groups are named once for the whole rollout, and all pods of both revisions are asked to count by these names:

- A named group is counted from where a pod counts it by name. What it had in `(other)` before is missing, which says
  nothing about its errors or latencies: a pod names what comes first, not what goes wrong.
- `(other)` counts only once there are as many names as there may be, and only where a pod was asked for exactly these:
  then it is the same values everywhere, to the end of the rollout.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from modelway.analysis.figures import Divided, Sums

OTHER, NONE = "(other)", "(none)"
"""The groups of all values without a name of their own, and of the requests without a value."""

_Counts = Mapping[str, Sums]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """What was counted by group since a step's traffic had settled."""

    names: tuple[str, ...] = ()
    """Those with counts of their own, in the order in which they were named."""
    sums: Mapping[str, _Counts] = field(default_factory=dict)
    """By name of the revision, then of the group."""

    def of(self, revision: str) -> _Counts:
        """The counts of one revision."""
        return self.sums.get(revision, {})

    def plus(self, revision: str, fresh: Divided, most: int) -> "Groups":
        """With counts of one process, as far as its groups are these; `most` names there may be."""
        is_same = fresh.names == self.names and len(self.names) >= most
        known = {*self.names, NONE, *((OTHER,) if is_same else ())}
        counts = dict(self.of(revision))
        for name in fresh.sums.keys() & known:
            counts[name] = counts.get(name, Sums()) + fresh.sums[name]
        return replace(self, sums={**self.sums, revision: counts})

    def naming(self, readings: Iterable[Divided], most: int) -> "Groups":
        """With names for further groups, up to so many in all: those that had the most requests."""
        seen: Counter[str] = Counter()
        for reading in readings:
            seen.update({name: sums.requests for name, sums in reading.sums.items()})
        fresh = sorted(seen.keys() - {*self.names, NONE, OTHER}, key=lambda name: (-seen[name], name))
        return replace(self, names=(*self.names, *fresh)[: max(most, len(self.names))])


NO_GROUPS = Groups()
