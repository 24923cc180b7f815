"""The field reference, docs/reference/api.md, made from the CRDs. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from modelway.api.rules import INT_OR_STRING, OPEN, VALIDATIONS, JsonSchema
from modelway.kinds import Manifest

_INTRODUCTION = (
    "Durations are numbers with the units `h`, `m`, `s` and `ms`, such as `1h30m`. Sizes and amounts are "
    "Kubernetes quantities, such as `64Mi` or `500m`. Ratios are numbers from 0 to 1. Fields of open "
    "objects are those of the Kubernetes or Gateway API object that the description names. `[]` marks the "
    "items of a list, `{}` the values of a map."
)


def markdown(definitions: Iterable[Manifest]) -> str:
    """The page, one table for each kind."""
    head = (
        "<!-- Generated from operator/src/modelway/api by `make generate`. Do not edit. -->",
        "# API reference",
        _INTRODUCTION,
    )
    return "\n\n".join((*head, *(section for definition in definitions for section in _kind(definition)))) + "\n"


def _kind(definition: Manifest) -> Iterator[str]:
    spec = definition["spec"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    short = ", ".join(f"`{name}`" for name in spec["names"]["shortNames"])
    yield f"## {spec['names']['kind']}"
    group, scope = f"{spec['group']}/{version['name']}", spec["scope"].lower()
    yield f"`{group}`, {scope}, short name {short}. {schema['description']}"
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield "\n".join(_table(part, schema["properties"][part]))


def _table(part: str, schema: JsonSchema) -> Iterator[str]:
    yield f"| field of {part} | type | default | meaning |"
    yield "|---|---|---|---|"
    for path, node, is_required in _fields("", schema):
        default = "required" if is_required else _default(node)
        yield f"| `{path}` | {_type(node)} | {default} | {node.get('description', '')} |"


def _fields(prefix: str, node: JsonSchema) -> Iterator[tuple[str, JsonSchema, bool]]:
    """Every field below a node: its path, its schema, and whether it must be written."""
    for name, field in node.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path, field, name in node.get("required", ())
        yield from _fields(path, field)
        yield from _fields(f"{path}[]", field.get("items", {}))
        yield from _fields(f"{path}{{}}", _values(field))


def _values(node: JsonSchema) -> dict[str, Any]:
    values = node.get("additionalProperties")
    return values if isinstance(values, dict) else {}


def _type(node: JsonSchema) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get(INT_OR_STRING):
        return _kind_of_amount(node)
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    if _values(node):
        return f"map of {_type(_values(node))}"
    name = "open object" if node.get(OPEN) else str(node["type"])
    return name + _range(node)


def _kind_of_amount(node: JsonSchema) -> str:
    """What an integer-or-string stands for, as the message of its rule begins."""
    message = node[VALIDATIONS][0]["message"]
    for amount in ("duration", "size", "quantity"):
        if message.startswith(f"write a {amount}"):
            return amount
    return "integer or percentage"


def _range(node: JsonSchema) -> str:
    if "minimum" in node and "maximum" in node:
        return f", {node['minimum']}–{node['maximum']}"
    return ""


def _default(node: JsonSchema) -> str:
    default = node.get("default")
    if default is None or default == {}:
        return ""
    if isinstance(default, list):
        return ", ".join(f"`{value}`" for value in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
