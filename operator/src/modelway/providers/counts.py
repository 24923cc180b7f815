"""Counts as pods write them in JSON. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from modelway.analysis.figures import Sums
from modelway.providers.failures import NoAnswer

Count = Annotated[int, Field(ge=0, le=2**53)]
_Bucket = Annotated[str, StringConstraints(pattern=re.compile("^[0-9]{1,4}$"))]
Latency = Annotated[dict[_Bucket, Count], Field(max_length=1000)]
"""Counts by bucket."""


class Answer(BaseModel):
    """JSON types are not bent: a count is an integer, never `true`, `1.0` or `"1"`. Later versions may say more."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


def counted(requests: int, errors: int, latency: Mapping[str, int]) -> Sums:
    """The counts of one process. Raises NoAnswer for such as cannot be."""
    buckets = {int(bucket): count for bucket, count in latency.items() if count}
    sums = Sums(requests=requests, errors=errors, latency=buckets)
    if max(sums.errors, sums.answered) > sums.requests:
        raise NoAnswer("More errors or answers than requests")
    return sums
