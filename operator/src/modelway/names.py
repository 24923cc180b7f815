"""Every name that Modelway writes into a cluster: labels, annotations and children. Pure."""

GROUP = "serving.modelway.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FIELD_MANAGER = "modelway"

MODEL_LABEL = f"{GROUP}/model"
REVISION_LABEL = f"{GROUP}/revision"
ROLE_LABEL = f"{GROUP}/role"
OUTCOME_LABEL = f"{GROUP}/outcome"
ROLLOUT_LABEL = f"{GROUP}/rollout"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "modelway"
CHILD_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY}"

COMMAND_ANNOTATION = f"{GROUP}/command"
ABORT_ANNOTATION = f"{GROUP}/abort"
COMPARATOR_LABEL = f"{GROUP}/comparator"
"""On the pods of a comparator alone: the Service of a model selects whatever carries the model's label."""
APPLIED_ANNOTATION = f"{GROUP}/applied"
REASON_ANNOTATION = f"{GROUP}/reason"

SHADOW_HEADER = "modelway-shadow"
"""On the requests of comparators alone: the runtime counts them neither as evidence nor as load."""

RESTING_HEADER = "modelway-resting"
"""What a rule asks for that keeps its place in a route and leads nobody."""

HASH_LENGTH = 10


def revision(model: str, identity: str) -> str:
    """Name of a revision and of its ControllerRevision, Deployment, Service and HPA."""
    return f"{model}-{identity}"


def lock(revision_name: str) -> str:
    """Name of the ConfigMap that holds the digest that a revision's first pod fetched."""
    return f"{revision_name}-lock"


def golden(revision_name: str) -> str:
    """Name of the ConfigMap that holds a revision's golden requests."""
    return f"{revision_name}-golden"


def rollout(model: str, rollout_id: int) -> str:
    """Name of the ConfigMap that holds the plan of one rollout."""
    return f"{model}-rollout-{rollout_id}"


def comparator(model: str, rollout_id: int) -> str:
    """Name of the Deployment and Service that compare the answers of a rollout's revisions."""
    return f"{model}-compare-{rollout_id}"


def service(model: str) -> str:
    """Name of the Service that callers inside the cluster use."""
    return model


def route(model: str) -> str:
    """Name of the HTTPRoute that divides the traffic."""
    return model


def preview(model: str) -> str:
    """Name of the Service and of the HTTPRoute that lead to a candidate before it takes the traffic."""
    return f"{model}-preview"
