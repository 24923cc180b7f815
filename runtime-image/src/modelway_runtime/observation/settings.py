"""Settings of those who are told of requests; without any of them nobody is."""

from dataclasses import dataclass

from modelway_runtime.settings import Environ, parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSettings:
    """Who is told of requests."""

    has_access_log: bool


def observation(environ: Environ) -> ObservationSettings:
    """The settings; raises UsageError."""
    return ObservationSettings(has_access_log=parsed(environ, "MODELWAY_ACCESS_LOG", "false", _truth))


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is not true or false")
    return text == "true"
