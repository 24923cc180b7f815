"""What the user is told: conditions, phase and figures of one pass. Pure.

Conditions follow kstatus, so that `kubectl wait`, Flux and Argo CD tell the truth; `phase` and `message` are for the
eye. A message says what happened, to which object, and what to do next.
"""

from modelway.status.standing import refusal
from modelway.status.summary import is_news, next_wake, status

__all__ = ["is_news", "next_wake", "refusal", "status"]
