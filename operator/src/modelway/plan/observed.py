"""What one pass knows: a frozen snapshot of one ModelDeployment and everything that belongs to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from modelway import names
from modelway.analysis.figures import Readings
from modelway.api import ModelDeploymentSpec, RuntimeSpec
from modelway.api import Rollout as RolloutSpec
from modelway.kinds import Kind, Manifest
from modelway.plan.record import Record
from modelway.resources import gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The ModelDeployment as an object: who it is, apart from what it asks for."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    annotations: Mapping[str, str]
    is_deleting: bool
    writers: Mapping[str, str] = field(default_factory=dict)
    """Field manager that wrote the spec last (under `spec`), and the annotations of commands (under their names)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container ended: kubelet's reason, the exit code and the termination message."""

    reason: str
    exit_code: int
    message: str
    started_at: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod, as the kubelet reports it."""

    name: str
    is_init: bool
    is_ready: bool
    is_running: bool
    restarts: int
    waiting_reason: str
    waiting_message: str
    ended: Ended | None
    has_started: bool = False
    """Whether its startup probe passed in its present run."""
    image: str = ""
    """Digest of the image that the model container runs, as the node reports it; empty before it ran."""

    @property
    def is_up(self) -> bool:
        """Whether it came up since it ended last; one that is unready for a moment does not fail for old ends."""
        return self.is_ready or (self.is_running and self.has_started)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One model pod."""

    name: str
    revision: str
    is_ready: bool
    is_terminating: bool
    is_started: bool
    unschedulable: str
    containers: tuple[Container, ...]
    ip: str = ""
    created_at: datetime | None = None
    ready_changed_at: datetime | None = None
    """When it became ready, or ceased to be, last."""
    unschedulable_since: datetime | None = None
    ends_at: datetime | None = None
    """When its time to end is over; None while it is not terminating."""

    @property
    def is_warmed(self) -> bool:
        """Whether its model is loaded, warmed and right on its golden requests: readiness began with that.

        A server with a gate has started when it has loaded the model; the rest is the gate's to say.
        """
        has_started = any(item.has_started for item in self.containers)
        return self.is_ready or (has_started and all(item.is_ready for item in self.containers if _is_gate(item)))

    def may_answer(self, now: datetime) -> bool:
        """Whether it takes requests or may do so again; not on a lost node, which never reports the end of its pods."""
        return self.is_ready or self.ends_at is None or now < self.ends_at


def _is_gate(container: Container) -> bool:
    return container.is_init and container.name == gate.CONTAINER


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A revision's Deployment."""

    manifest: Manifest
    replicas: int
    resource_version: str
    pods_refused: str


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One immutable revision: its ControllerRevision and the children that run it."""

    name: str
    hash: str
    number: int
    manifest: Manifest
    outcome: str
    reason: str
    role: str
    workload: Workload | None = None
    service: Manifest | None = None
    autoscaler: Manifest | None = None
    disruption_budget: Manifest | None = None
    golden: Manifest | None = None
    lock_manifest: Manifest | None = None
    pods: tuple[Pod, ...] = ()

    @cached_property
    def ready(self) -> int:
        """Pods that answer and are not about to end."""
        return sum(pod.is_ready and not pod.is_terminating for pod in self.pods)

    @cached_property
    def warmed(self) -> int:
        """Pods with a loaded and warmed model, also those that do not answer for the moment."""
        return sum(pod.is_warmed and not pod.is_terminating for pod in self.pods)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """Digests of the images that its pods run; more than one where a tag was moved meanwhile."""
        return tuple(sorted({item.image for pod in self.pods for item in pod.containers if item.image}))

    @cached_property
    def lock(self) -> str:
        """The digest that every pod is held to; empty until the first pod fetched the model."""
        return str((self.lock_manifest.get("data") or {}).get("digest", "")) if self.lock_manifest else ""

    @cached_property
    def replicas(self) -> int:
        """Pods asked for."""
        return self.workload.replicas if self.workload else 0

    @cached_property
    def asked(self) -> int:
        """Pods asked for, also by an autoscaler that has not acted yet."""
        least = self.autoscaler["spec"].get("minReplicas", 1) if self.autoscaler and self.replicas else 0
        return max(self.replicas, least)

    def lingering(self, now: datetime) -> int:
        """Pods beyond those that still hold devices: they end, or are to be ended.

        One that outlives its time to end is on a lost node, and its devices are lost with it.
        """
        if not self.holds_devices:
            return 0
        living = sum(not pod.is_terminating for pod in self.pods)
        return sum(bool(pod.ends_at and now < pod.ends_at) for pod in self.pods) + max(0, living - self.asked)

    @cached_property
    def holds_devices(self) -> bool:
        """Whether its pods ask for extended resources, such as `nvidia.com/gpu`, or claim devices."""
        pod = self.rendered["deployment"]["template"]["spec"]
        containers = (*(pod.get("initContainers") or ()), *pod["containers"])
        asked = (container.get("resources") or {} for container in containers)
        names = (name for part in asked for key in ("requests", "limits") for name in part.get(key) or ())
        return bool(pod.get("resourceClaims")) or any("/" in name for name in names)

    @cached_property
    def source(self) -> Manifest:
        """The user's fields that made this revision."""
        source: Manifest = self.manifest["data"]["source"]
        return source

    @cached_property
    def model_name(self) -> str:
        """The name in the protocols' paths that its pods answer to; empty: the ModelDeployment's."""
        return str(self.source["model"].get("name", ""))

    @cached_property
    def refresh(self) -> str:
        """Id of the command that gave it a runtime newer than its fields had before; mostly empty."""
        return str(self.manifest["data"].get("refresh", ""))

    @cached_property
    def rendered(self) -> Manifest:
        """Its Deployment and Service, as rendered at birth."""
        rendered: Manifest = self.manifest["data"]["rendered"]
        return rendered

    @cached_property
    def runtime(self) -> Manifest:
        """The runtime that it was rendered from: kind, name and spec."""
        runtime: Manifest = self.manifest["data"]["runtime"]
        return runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparator:
    """The Deployment and Service that compare the answers of two revisions."""

    deployment: Manifest | None
    service: Manifest | None

    @property
    def is_ready(self) -> bool:
        """Whether its pod takes requests."""
        found = self.deployment or {}
        return self.service is not None and bool((found.get("status") or {}).get("readyReplicas"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTPRoute of ours: the weights written in it, and whether every parent took them."""

    manifest: Manifest
    weights: Mapping[str, int]
    is_programmed: bool
    others: frozenset[str] = frozenset()
    """Revisions that its other rules lead to."""
    matched: frozenset[str] = frozenset()
    """Those of them that get the requests with certain headers."""
    mirrors: Mapping[str, int] = field(default_factory=dict)
    """Percent of the requests of which a Service gets copies, by its name."""
    trouble: str = ""
    message: str = ""

    def share(self, name: str) -> int:
        """Percent of the requests, also where somebody wrote weights that do not add up to 100."""
        total = sum(self.weights.values())
        return 100 * self.weights.get(name, 0) // total if total else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A ModelRuntime or ClusterModelRuntime that could run the model."""

    kind: str
    name: str
    spec: RuntimeSpec

    @property
    def recorded(self) -> Manifest:
        """As a revision records it at its birth."""
        spec = self.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"kind": self.kind, "name": self.name, "spec": spec}


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What this cluster and this installation can do."""

    gateway: bool
    runtime_image: str
    route_fields: frozenset[str] = frozenset()
    """Fields of an HTTPRoute rule that the installed Gateway API has; not every version and channel has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """An object that carries our labels and belongs to somebody else."""

    kind: Kind
    name: str
    is_leaving: bool
    """Whether its owner was an earlier ModelDeployment of this name, so that Kubernetes will delete it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another ModelDeployment that came first to what this one claims: a host name and path on a Gateway."""

    namespace: str
    name: str
    place: str
    """Host name and path, for people."""
    gateway: str
    """Namespace and name of the Gateway, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that one pass may look at. `now` is in UTC, whole seconds."""

    now: datetime
    rounded_up: datetime
    """The same rounded up: what must not be cut short by the fraction of a second is counted from here."""
    epoch: int
    owner: Owner
    spec: ModelDeploymentSpec | None
    invalid: str
    record: Record
    status: Manifest
    features: Features
    revisions: tuple[Revision, ...] = ()
    runtimes: tuple[Runtime, ...] = ()
    service: Manifest | None = None
    route: Route | None = None
    preview_service: Manifest | None = None
    preview_route: Route | None = None
    gateway_features: frozenset[str] = frozenset()
    """What every Gateway of the spec can do, as its class reports it."""
    rival: Rival | None = None
    plans: Mapping[int, Manifest] = field(default_factory=dict)
    planned: RolloutSpec | None = None
    """`spec.rollout` as it was when the recorded rollout began; None while that is not stored."""
    strangers: tuple[Stranger, ...] = ()
    comparators: Mapping[str, Comparator] = field(default_factory=dict)
    """By name."""
    readings: Readings | None = None
    """What was read last for the inquiry of an earlier pass."""

    def revision(self, name: str) -> Revision | None:
        """The revision of that name, if it still exists."""
        return next((revision for revision in self.revisions if revision.name == name), None)

    @property
    def has_gateway(self) -> bool:
        """Whether this model's traffic goes through a Gateway."""
        return bool(self.spec and self.spec.has_gateway)

    @property
    def selected(self) -> Mapping[str, str]:
        """What the model's own Service selects; empty while there is none."""
        selector: Mapping[str, str] = self.service["spec"].get("selector", {}) if self.service else {}
        return selector

    def is_selected(self, revision: Revision) -> bool:
        """Whether the model's own Service sends requests to that revision."""
        return bool(self.selected) and self.selected.get(names.REVISION_LABEL, revision.hash) == revision.hash

    def is_in_use(self, revision: Revision) -> bool:
        """Whether the route leads to it by weight or rule, or the model's own Service selects it."""
        route = self.route
        is_routed = route is not None and bool(route.weights.get(revision.name, 0) or revision.name in route.others)
        return self.is_selected(revision) or is_routed

    def is_previewed(self, revision: Revision) -> bool:
        """Whether the preview host names lead to it."""
        return self.preview_route is not None and revision.name in self.preview_route.weights

    def is_selected_alone(self, name: str) -> bool:
        """Whether the model's own Service sends requests to that revision and to no other."""
        revision = self.revision(name)
        return revision is not None and self.selected.get(names.REVISION_LABEL) == revision.hash
