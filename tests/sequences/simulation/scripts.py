"""How the pods of a model behave: one script for each model URI, replaceable while they run."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

from modelway.analysis.drifts import Binned

_POINTS = [NormalDist().inv_cdf((index + 0.5) / 200) for index in range(200)]
"""Quantiles of the normal distribution: durations are log-normal."""
_SPREAD = 0.35
_EDGES = [NormalDist().inv_cdf(part / 10) for part in range(1, 10)]
"""Deciles of what the reference has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Delays in seconds, and what goes wrong, if anything."""

    schedule: float = 1
    fetch: float = 2
    load: float = 3
    fetch_failure: str = ""
    """Reason in the termination message of `fetch`."""
    load_failure: str = ""
    """Reason in the termination message of the server."""
    message: str = ""
    """Text of the failure."""
    answers_wrong: bool = False
    """Fails golden requests where the revision has any."""
    crashes: bool = False
    """Ends before it is ready and leaves log lines instead of a termination message."""
    uses_too_much_memory: bool = False
    is_unschedulable: bool = False
    image_is_missing: bool = False
    is_never_ready: bool = False
    flaps_every: float = 0
    """Seconds between becoming ready and unready; 0 for never."""
    digest: str = ""
    """Digest of the bytes behind the URI; by default made from the URI."""
    image: str = "sha256:0123"
    """What the tag of the runtime's image stands for when a pod starts."""
    ends: float = 2
    """Seconds from SIGTERM to the end."""
    errors: float = 0.0
    """Share of the requests that fail."""
    accuracy: float = 0.9
    """Share of the predictions that come true."""
    off: float = 1.0
    """How far its predictions are off on average: half of them less by a half, the others more."""
    errors_of: Mapping[str, float] = field(default_factory=dict)
    """Share of the requests that fail, by the value that they bring, in place of `errors`."""
    flips: float = 0.0
    """Share of its answers that differ from those of a version without flips."""
    latency: float = 0.02
    """Median duration of a request in seconds."""

    shifted: float = 0.0
    """How far its callers' `amount` lies beside the reference of its model, in standard deviations."""
    has_reference: bool = True

    @property
    def errors_off(self) -> tuple[float, float]:
        """How far its predictions are off, in halves of all cases."""
        return 0.5 * self.off, 1.5 * self.off

    def drifts(self, requests: int) -> dict[str, Binned]:
        """What was counted of its callers' requests against its reference: `amount` and `country`."""
        if not self.has_reference:
            return {}
        shares = [NormalDist(self.shifted).cdf(edge) for edge in _EDGES]
        upto = [round(requests * share) for share in (*shares, 1.0)]
        amounts = [one - other for one, other in zip(upto, [0, *upto], strict=False)]
        countries = (requests * 6 // 10, requests - requests * 6 // 10, 0)
        return {
            "amount": Binned("Numbers", (1000,) * 10 + (0,), (*amounts, 0)),
            "country": Binned("Categories", (6000, 4000, 0), countries),
        }

    def duration(self, number: int) -> float:
        """How long one of its answers takes, in seconds."""
        return self.latency * math.exp(_SPREAD * _POINTS[(number * 89) % len(_POINTS)])


HEALTHY = Script()


@dataclass(slots=True)
class Scripts:
    """The scripts of a simulation, and the Secrets that exist."""

    by_uri: dict[str, Script] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def of(self, uri: str) -> Script:
        """The script of a model; healthy by default."""
        return self.by_uri.get(uri, HEALTHY)

    def digest(self, uri: str) -> str:
        """What `fetch` computes over the bytes behind a URI."""
        return self.of(uri).digest or "sha256:" + hashlib.sha256(uri.encode()).hexdigest()
