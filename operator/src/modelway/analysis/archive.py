"""Evidence as text, for the rollout's ConfigMap: what is gathered now, and what each step was decided on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from modelway.analysis.evidence import Evidence
from modelway.analysis.figures import Sums
from modelway.analysis.groups import Groups
from modelway.analysis.verdicts import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a step was decided on."""

    step: int
    since: datetime
    until: datetime
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """All evidence of one rollout."""

    rollout: int = 0
    current: Evidence | None = None
    reference: Sums | None = None
    """What stable had in the last step in which it had traffic, for the time in which it has none."""
    names: tuple[str, ...] = ()
    """Of the groups so far."""
    reference_groups: Mapping[str, Sums] = field(default_factory=dict)
    """What stable had in that step by group."""
    decisions: tuple[Decision, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not self.decisions and (self.current is None or self.current.read_at is None)

    def decided(self, decision: Decision, stable: str) -> "Archive":
        """With the current step closed; another decision on the same step takes the place of the former."""
        former = tuple(item for item in self.decisions if item.step != decision.step)
        seen = self.current.sums.get(stable) if self.current else None
        reference = seen if seen and seen.requests else self.reference
        groups = self.current.groups if self.current else Groups(names=self.names)
        return replace(
            self,
            current=None,
            reference=reference,
            names=groups.names,
            reference_groups=groups.of(stable) or self.reference_groups,
            decisions=(*former, decision),
        )

    def text(self) -> str:
        """As JSON; what is empty is left out."""
        return _ARCHIVE.dump_json(self, exclude_defaults=True).decode()


NO_EVIDENCE = Archive()
_ARCHIVE = TypeAdapter(Archive)


@lru_cache(maxsize=64)
def parse(text: str) -> Archive:
    """The inverse of `Archive.text`; evidence that cannot be read counts as lost and is gathered anew.

    Between two readings the text stays the same, and every pass asks for it.
    """
    try:
        return _ARCHIVE.validate_json(text) if text else NO_EVIDENCE
    except ValidationError:
        return NO_EVIDENCE
