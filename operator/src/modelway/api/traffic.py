"""`spec.traffic`: the way in from outside the cluster. Pure."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from modelway.api.rules import Rule, Struct
from modelway.api.scalars import ObjectName, OpenObject, matching

_HOSTNAME = matching(
    "^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "write a host name in lower case without scheme, port or path, such as fraud.example.com or *.example.com",
)

Hostname = Annotated[str, StringConstraints(min_length=1, max_length=253), _HOSTNAME]

_HAS_PARENTS = "has(self.parentRefs) && size(self.parentRefs) > 0"


class ParentReference(Struct):
    """A Gateway that the model's HTTPRoute attaches to."""

    group: Annotated[str, StringConstraints(max_length=253)] | None = None
    """API group of the parent. Absent: `gateway.networking.k8s.io`."""
    kind: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = None
    """Kind of the parent. Absent: `Gateway`."""
    namespace: ObjectName | None = None
    """Namespace of the parent. Absent: the ModelDeployment's."""
    name: ObjectName
    """Name of the parent."""
    section_name: ObjectName | None = None
    """Listener of the Gateway. Absent: every listener that admits the route."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of the listener. Absent: any."""


class Traffic(Struct):
    """The way in from outside the cluster. A change here makes no new revision."""

    parent_refs: Annotated[tuple[ParentReference, ...], Field(max_length=32)] = ()
    """Gateways to attach to. Absent: only the Service of the model's name exists."""
    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16)] = ()
    """Host names that the route serves. Absent: every name that the listener admits."""
    paths: Literal["Model", "All"] = "Model"
    """`Model` routes only the paths of this model's name, so that models can share a host name; `All` routes
    everything sent to the host names."""
    timeouts: OpenObject | None = None
    """Time-outs as in an HTTPRoute rule, such as `request: 30s`."""
    filters: Annotated[tuple[OpenObject, ...], Field(max_length=14)] = ()
    """Filters as in an HTTPRoute rule, which has room for two more: one takes the mark of a comparator's requests from
    those of callers, one mirrors them."""
    session_persistence: OpenObject | None = None
    """Session persistence as in an HTTPRoute rule, such as `type: Cookie`; the Gateway API has it in its experimental
    channel. Weights then divide new sessions. Absent: each request is divided anew."""

    rules = (
        Rule(
            cel=f"({_HAS_PARENTS}) || !has(self.hostnames) || size(self.hostnames) == 0",
            message="hostnames need a gateway: name one in parentRefs, or leave hostnames out",
            holds=lambda traffic: bool(traffic.parent_refs) or not traffic.hostnames,
        ),
        Rule(
            cel="self.paths != 'All' || (has(self.hostnames) && size(self.hostnames) > 0)",
            message="paths: All takes everything sent to a host name: name the model's own in hostnames, "
            "or write paths: Model",
            holds=lambda traffic: traffic.paths != "All" or bool(traffic.hostnames),
        ),
        Rule(
            cel=f"({_HAS_PARENTS}) || !(has(self.timeouts) || has(self.sessionPersistence) || "
            "(has(self.filters) && size(self.filters) > 0))",
            message="timeouts, filters and sessionPersistence are the gateway's: name one in parentRefs, or leave "
            "them out",
            holds=lambda traffic: (
                bool(traffic.parent_refs)
                or (traffic.timeouts is None and traffic.session_persistence is None and not traffic.filters)
            ),
        ),
    )
