"""Reasons about the request or the set-up: nothing is started until it changes. Pure."""

from typing import Final

from modelway.api.reasons.reason import Class, Reason


def _(name: str, meaning: str, next_step: str) -> Reason:
    return Reason(name=name, category=Class.BLOCKED, meaning=meaning, next_step=next_step)


INVALID_SPEC: Final = _(
    "InvalidSpec",
    "The API server would refuse what the spec asks for.",
    "Correct the field that the message names.",
)
RUNTIME_NOT_FOUND: Final = _(
    "RuntimeNotFound",
    "The runtime in `runtime.ref` does not exist, or no runtime lists the model's format.",
    "See `kubectl get cmrt,mrt` for runtimes and their formats; correct `format` or `runtime.ref`, or create one.",
)
CONFLICT: Final = _(
    "Conflict",
    "An object that must be created exists and belongs to somebody else, or another ModelDeployment has the host name "
    "and path on the Gateway.",
    "Delete or change the object in the message, or give the ModelDeployment another name, or other host names.",
)
WAITING_FOR_DELETION: Final = _(
    "WaitingForDeletion",
    "An object of a deleted ModelDeployment of the same name is still going away.",
    "Wait; if it stays, see which finalizer holds the object in the message.",
)
RBAC_DENIED: Final = _(
    "RBACDenied",
    "The operator lacks a right that it needs.",
    "Install the chart's ClusterRole again, or add the verb and resource in the message to the operator's role.",
)
WRITE_DENIED: Final = _(
    "WriteDenied",
    "An admission policy or webhook refused a write of the operator.",
    "Read the refusal in the message and ask whoever runs the policy for an exception.",
)
WEIGHT_NOT_REACHABLE: Final = _(
    "WeightNotReachable",
    "Even one candidate pod is more than the step's weight: without a gateway the share is counted in pods, and a pod "
    "that takes the place of the only one has all of the traffic.",
    "Raise `replicas`, use a gateway (`traffic.parentRefs`), or consent with `rollout.coarseWeights: Allow`.",
)
FEATURE_NOT_SUPPORTED: Final = _(
    "FeatureNotSupported",
    "The cluster or its gateway lacks what the spec asks for, such as the Gateway API.",
    "Install what the message names, or leave the field out.",
)
ROUTE_NOT_ACCEPTED: Final = _(
    "RouteNotAccepted",
    "The Gateway refused the route.",
    "Check that the listener in `traffic.parentRefs` exists and admits this namespace and these `hostnames`.",
)
REFS_NOT_RESOLVED: Final = _(
    "RefsNotResolved",
    "The Gateway cannot find a backend or filter of the route.",
    "Check the objects that `traffic.filters` name and the Gateway's message.",
)
ROUTE_NOT_PROGRAMMED: Final = _(
    "RouteNotProgrammed",
    "The Gateway has not confirmed the route; no traffic is moved until it does.",
    "Check that the Gateway's controller runs and that the Gateway itself is programmed.",
)
