"""The scalar types of the API: texts with a shape, durations, sizes, quantities and open objects. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from modelway.api import durations, quantities
from modelway.api.rules import INT_OR_STRING, OPEN, VALIDATIONS, JsonSchema, Rule

MAX_COUNT = 1000
"""Most pods of one model."""


@dataclass(frozen=True, slots=True)
class Between:
    """Metadata that makes a `timedelta` a duration string on the wire, within bounds."""

    low: str
    high: str

    def parse(self, value: str | timedelta) -> timedelta:
        """The duration; raises ValueError, with what to write, for another form or outside the bounds."""
        duration = value if isinstance(value, timedelta) else self._read(value)
        if not durations.parse(self.low) <= duration <= durations.parse(self.high):
            raise ValueError(self.message)
        return duration

    def _read(self, value: str) -> timedelta:
        try:
            return durations.parse(value)
        except (TypeError, ValueError) as error:
            raise ValueError(self.message) from error

    @property
    def message(self) -> str:
        """What the user should write."""
        return (
            f"write a duration from {self.low} to {self.high}: numbers with the units h, m, s or ms and no "
            "blanks, such as 30s, 10m or 1h30m"
        )

    @property
    def cel(self) -> str:
        """The same check for the API server; the pattern keeps `duration()` from failing."""
        within = f"duration(self) >= duration('{self.low}') && duration(self) <= duration('{self.high}')"
        return f"type(self) == string && self.matches('{durations.PATTERN}') && {within}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(durations.format),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {
            INT_OR_STRING: True,
            "maxLength": durations.MAX_LENGTH,
            VALIDATIONS: [{"rule": self.cel, "message": self.message}],
        }


_AMOUNT = "quantity(type(self) == int ? string(self) : self)"


def _within(low: str, high: str) -> str:
    """CEL: an integer or a string that is a quantity between the two."""
    is_one = f"(type(self) == int || isQuantity(self) && self.matches('{quantities.PATTERN}'))"
    above, below = (f"{_AMOUNT}.compareTo(quantity('{bound}'))" for bound in (low, high))
    return f"{is_one} && {above} >= 0 && {below} <= 0"


@dataclass(frozen=True, slots=True)
class SizeBetween:
    """Metadata that makes an `int` of bytes a quantity such as `64Mi` on the wire, within bounds."""

    low: str
    high: str

    def parse(self, value: str | int) -> int:
        """The bytes; raises ValueError, with what to write, for another form or outside the bounds."""
        try:
            size = quantities.parse_bytes(value)
        except ValueError as error:
            raise ValueError(self.message) from error
        if not quantities.parse_bytes(self.low) <= size <= quantities.parse_bytes(self.high):
            raise ValueError(self.message)
        return size

    @property
    def message(self) -> str:
        """What the user should write."""
        return (
            f"write a size from {self.low} to {self.high}: a number with Ki, Mi or Gi (powers of 1024) or k, "
            "M or G (powers of 1000), such as 64Mi; MB and KB are no units of Kubernetes"
        )

    @property
    def cel(self) -> str:
        """The same check for the API server, on an integer or a string."""
        size = f"{_AMOUNT}.asApproximateFloat()"
        return f"{_within(self.low, self.high)} && double(int({size})) == {size}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(quantities.format_bytes),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {
            INT_OR_STRING: True,
            "maxLength": quantities.MAX_LENGTH,
            VALIDATIONS: [{"rule": self.cel, "message": self.message}],
        }


def matching(pattern: str, message: str) -> Rule:
    """A rule on a string: the pattern in RE2 and Python alike, and what to write instead."""
    compiled, literal = re.compile(pattern), pattern.replace("\\", "\\\\")
    return Rule(cel=f"self.matches('{literal}')", message=message, holds=lambda text: bool(compiled.fullmatch(text)))


def short_keys(limit: int) -> Rule:
    """A rule on a map: the schema itself cannot bound keys."""
    return Rule(
        cel=f"self.all(key, size(key) <= {limit})",
        message=f"shorten the keys to at most {limit} characters",
        holds=lambda values: all(len(key) <= limit for key in values),
    )


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Time: TypeAlias = Annotated[
    AwareDatetime,
    PlainSerializer(_timestamp),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64}),
]
"""A moment, in UTC on the wire."""

OpenObject: TypeAlias = Annotated[dict[str, Any], WithJsonSchema({"type": "object", OPEN: True})]
"""An object that Kubernetes, the gateway or the runtime knows better than this schema."""

_MOST = "8E"
_QUANTITY_MESSAGE = f"write a quantity from 0 to {_MOST}, such as 500m, 2 or 4Gi; MB and GB are no units of Kubernetes"


def _amount(value: str | int) -> str:
    """The canonical spelling; raises ValueError, with what to write, for another form or outside the bounds."""
    try:
        spelling = quantities.canonical(value)
    except ValueError as error:
        raise ValueError(_QUANTITY_MESSAGE) from error
    if not 0 <= quantities.parse(value) <= quantities.parse(_MOST):
        raise ValueError(_QUANTITY_MESSAGE)
    return spelling


Quantity: TypeAlias = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema(
        {
            INT_OR_STRING: True,
            "maxLength": quantities.MAX_LENGTH,
            VALIDATIONS: [{"rule": _within("0", _MOST), "message": _QUANTITY_MESSAGE}],
        }
    ),
]
"""An amount of a resource, canonical as the API server stores it."""

_LABEL = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""Pattern of the names of most objects."""

Label: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    matching(_LABEL, "write a name of lower-case letters, digits and dashes, such as half"),
]
"""A short name within a list."""

ObjectName: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    matching(f"^{SUBDOMAIN}$", "write the name of an object: lower-case letters, digits, dashes and dots"),
]
"""The name of another object."""

Count: TypeAlias = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32", "minimum": 0})]
"""A number of pods, steps or samples in the status."""

Short: TypeAlias = Annotated[str, StringConstraints(max_length=256)]
"""A name, reason, hash or verb in the status."""

Long: TypeAlias = Annotated[str, StringConstraints(max_length=4096)]
"""A message or URL in the status."""
