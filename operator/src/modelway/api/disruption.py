"""`spec.podDisruptionBudget`: how many pods may be taken away at once. Pure."""

from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from modelway.api.rules import INT_OR_STRING, VALIDATIONS, Struct
from modelway.api.scalars import MAX_COUNT

_MESSAGE: Final = f'write a number of pods from 1 to {MAX_COUNT} or a percentage from 1% to 100%, such as 1 or "25%"'
_SHAPE: Final = f"type(self) == int ? self >= 1 && self <= {MAX_COUNT} : self.matches('^(100|[1-9][0-9]?)%$')"
_ALL: Final = "100%"


def _known(value: int | str) -> int | str:
    pods = int(value[:-1]) if isinstance(value, str) and value[:-1].isdecimal() and value.endswith("%") else value
    if not isinstance(pods, int) or not 1 <= pods <= (100 if isinstance(value, str) else MAX_COUNT):
        raise ValueError(_MESSAGE)
    return value


class DisruptionBudget(Struct):
    """What evictions, as by `kubectl drain`, may take away. Lost nodes and preemption ask nobody."""

    max_unavailable: Annotated[
        int | str,
        AfterValidator(_known),
        WithJsonSchema({INT_OR_STRING: True, "maxLength": 8, VALIDATIONS: [{"rule": _SHAPE, "message": _MESSAGE}]}),
    ] = 1
    """Pods of a revision that may be missing at the same time: a number, or a percentage of those asked for. `100%`
    makes no budget at all, for who brings one that selects the pods: Kubernetes evicts no pod that has two."""

    @property
    def is_wanted(self) -> bool:
        """Whether it keeps anybody from anything."""
        return self.max_unavailable != _ALL
