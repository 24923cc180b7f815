"""What the schema must say beyond types: one rule is both a CEL rule of the CRD and a check in Python. Pure.

The API server enforces the CEL form with the message, so that `kubectl apply` says what to write instead. The
same rule holds in Python for objects that were stored under an older CRD.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

VALIDATIONS = "x-kubernetes-validations"
OPEN = "x-kubernetes-preserve-unknown-fields"
LIST_TYPE = "x-kubernetes-list-type"
INT_OR_STRING = "x-kubernetes-int-or-string"

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on a value; as metadata of an annotated type it guards that type.

    `holds` sees the Python value: of an annotated type the parsed one, of a struct the struct.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]

    def check(self, value: Any) -> Any:
        """The value itself; raises ValueError with the message where the rule does not hold."""
        if not self.holds(value):
            raise ValueError(self.message)
        return value

    def manifest(self) -> JsonSchema:
        """The entry of `x-kubernetes-validations`."""
        return {"rule": self.cel, "message": self.message}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = handler(core)
        return {**schema, VALIDATIONS: [*schema.get(VALIDATIONS, []), self.manifest()]}


class Struct(BaseModel):
    """A closed, frozen object of the API: camelCase on the wire, snake_case in Python."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    is_open: ClassVar[bool] = False
    """Whether the API server keeps fields that the schema does not know."""

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = handler.resolve_ref_schema(handler(core))
        if cls.rules:
            schema[VALIDATIONS] = [rule.manifest() for rule in cls.rules]
        if cls.is_open:
            schema[OPEN] = True
        return schema


def keyed_by(field: str) -> JsonSchema:
    """Marks a list whose items have a key, so that appliers merge it item by item."""
    return {LIST_TYPE: "map", f"{LIST_TYPE.removesuffix('type')}map-keys": [field]}
