"""The CustomResourceDefinitions, made from the pydantic types. Pure.

pydantic writes JSON Schema with references, titles and nulls; Kubernetes takes structural schemas. What lies
between is here, with one rule of our own: no default inside a list item, which GitOps tools would see as
drift.
"""

from datetime import timedelta
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from modelway import kinds, names
from modelway.api import durations, quantities
from modelway.api.model import RENAMED
from modelway.api.modeldeployment import MAX_NAME_LENGTH, ModelDeployment
from modelway.api.modelruntime import ClusterModelRuntime, ModelRuntime
from modelway.api.rules import INT_OR_STRING, LIST_TYPE, VALIDATIONS, JsonSchema, Struct
from modelway.kinds import Kind, Manifest

_DROPPED: Final = ("title", "additionalProperties", "$ref", "default")

_FIRST: Final = ("description", "type", INT_OR_STRING, "enum", "default")
_ORDER: Final = (*_FIRST, "", "required", "properties", "items", "additionalProperties", VALIDATIONS)

_METADATA: Final = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}}
"""The bound is what Kubernetes has anyway; without it a rule on the name would count as boundless."""

_NAME_RULES: Final = [
    {
        "rule": f"size(self.metadata.name) <= {MAX_NAME_LENGTH}",
        "message": f"shorten metadata.name to at most {MAX_NAME_LENGTH} characters: names of Services are made from it",
    },
    {
        "rule": "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "message": "write metadata.name with lower-case letters, digits and dashes, beginning with a "
        "letter (no dots): a Service is named after it",
    },
]

_MODEL_NAME: Final = "(has({0}.spec.model.name) ? {0}.spec.model.name : {0}.metadata.name)"
_LASTING_NAME: Final = {
    "rule": "!has(oldSelf.status) || !has(oldSelf.status.stableRevision) || "
    f"{_MODEL_NAME.format('self')} == {_MODEL_NAME.format('oldSelf')}",
    "message": RENAMED,
}

_DEPLOYMENT_COLUMNS: Final = (
    ("Phase", "string", ".status.phase", 0, "The state in one word."),
    ("Revision", "string", ".status.stableRevision.name", 0, "The revision that serves."),
    (
        "Weight",
        "integer",
        ".status.weight",
        0,
        "Percent of the traffic that the candidate has; 100 without one.",
    ),
    ("URL", "string", ".status.address.url", 0, "Where clients reach the model."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since it was created."),
    ("Version", "string", ".status.stableRevision.version", 1, "The version that serves."),
    ("Candidate", "string", ".status.candidateRevision.name", 1, "The revision that a rollout brings in."),
    ("Message", "string", ".status.message", 1, "The state in a sentence."),
)

_RUNTIME_COLUMNS: Final = (
    ("Formats", "string", ".spec.formats", 0, "Formats that it serves."),
    ("Protocols", "string", ".spec.protocols", 0, "Protocols that it speaks."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since it was created."),
)
"""Whole lists: of a path into a list the API server shows what it finds first, and nothing of the others."""


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with defaults spelt as users write them."""

    def encode_default(self, dft: Any) -> Any:
        return durations.format(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def definitions() -> tuple[Manifest, ...]:
    """The three CRDs, ready to be applied."""
    deployment = _definition(
        kinds.MODEL_DEPLOYMENT, "mdep", ModelDeployment, _DEPLOYMENT_COLUMNS, categories=("all", "modelway")
    )
    version = deployment["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"][VALIDATIONS] = [*_NAME_RULES, _LASTING_NAME]
    version["subresources"] = {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }
    return (
        deployment,
        _definition(kinds.MODEL_RUNTIME, "mrt", ModelRuntime, _RUNTIME_COLUMNS),
        _definition(kinds.CLUSTER_MODEL_RUNTIME, "cmrt", ClusterModelRuntime, _RUNTIME_COLUMNS),
    )


def structural(model: type[Struct]) -> JsonSchema:
    """The type as a structural schema of Kubernetes."""
    raw = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return _structural(raw, raw.get("$defs", {}), is_in_list=False)


def _definition(
    kind: Kind,
    short: str,
    model: type[Struct],
    columns: tuple[tuple[str, str, str, int, str], ...],
    *,
    categories: tuple[str, ...] = ("modelway",),
) -> Manifest:
    schema = structural(model)
    schema["properties"]["metadata"] = _METADATA
    for field in ("apiVersion", "kind"):
        schema["properties"][field] = {"type": "string"}
    schema["required"] = ["spec"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [short],
                "categories": list(categories),
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [_column(*column) for column in columns],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int, description: str) -> JsonSchema:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


def _structural(node: JsonSchema, types: dict[str, JsonSchema], *, is_in_list: bool) -> JsonSchema:
    """One node without references, nulls and titles; what the field says wins over what its type says."""
    node = _resolve(node, types)
    schema = {key: value for key, value in node.items() if key not in _DROPPED and not key.startswith("$")}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "properties" in node:
        schema["properties"] = {
            name: _structural(field, types, is_in_list=is_in_list) for name, field in node["properties"].items()
        }
    if "items" in node:
        schema["items"] = _structural(node["items"], types, is_in_list=True)
        schema.setdefault(LIST_TYPE, "atomic")
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _structural(node["additionalProperties"], types, is_in_list=True)
    if "propertyNames" in schema:
        schema.pop("propertyNames")
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if not is_in_list:
        schema |= _default(node, schema)
    return dict(sorted(schema.items(), key=_position))


def _position(item: tuple[str, Any]) -> int:
    """People read the meaning and the type first and the children last."""
    return _ORDER.index(item[0]) if item[0] in _ORDER else len(_FIRST)


def _resolve(node: JsonSchema, types: dict[str, JsonSchema]) -> JsonSchema:
    """Follows a reference and takes the one alternative that is not null."""
    while "$ref" in node or "anyOf" in node:
        if "anyOf" in node:
            (target,) = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
            rest = {key: value for key, value in node.items() if key != "anyOf"}
        else:
            target = types[node["$ref"].removeprefix("#/$defs/")]
            rest = {key: value for key, value in node.items() if key != "$ref"}
        node = {**target, **rest}
    return node


def _default(node: JsonSchema, schema: JsonSchema) -> JsonSchema:
    """The default as the API server fills it in; an absent, empty or open value has none.

    A struct whose fields have defaults gets `{}`, so that they are filled in when the struct itself is left
    out.
    """
    default = node.get("default")
    if isinstance(default, dict):
        fields = schema.get("properties", {}).values()
        return {"default": {}} if any("default" in field for field in fields) else {}
    if default is None or default in ("", []):
        return {}
    is_size = any("isQuantity" in rule["rule"] for rule in node.get(VALIDATIONS, ()))
    if is_size and isinstance(default, int):
        return {"default": quantities.format_bytes(default)}
    return {"default": default}
