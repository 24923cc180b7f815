"""`status` of a ModelDeployment: what the operator found and did, and what it needs after a restart. Pure.

Every field is optional and unknown ones are dropped on reading, so that operators of different versions can
follow each other on the same object.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from modelway.api.rules import Struct, keyed_by
from modelway.api.scalars import Count, Long, Short, Time

MAX_HISTORY = 10
MAX_REVISIONS = 64
MAX_CONDITIONS = 16

UNSEEN = -1
"""The API server writes it into each new object; without it kstatus would call an object that nobody has seen done."""


class Part(Struct):
    """A part of the status: as a `Struct`, but unknown fields do not matter."""

    model_config = ConfigDict(extra="ignore")


class Condition(Part):
    """One aspect of the state, in the form that all Kubernetes tools know."""

    type: Short
    """Name of the aspect, such as `Ready`."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: int | None = None
    """Generation of the spec that this was found for."""
    last_transition_time: Time
    """When `status` last changed."""
    reason: Short
    """Why, in one word of the closed list."""
    message: Long = ""
    """Why, in a sentence."""


class Address(Part):
    """Where the model answers."""

    url: Long | None = None
    """REST, as clients reach it: through the gateway where there is one."""
    grpc: Long | None = None
    """gRPC, as clients reach it."""
    internal: Long | None = None
    """REST, inside the cluster."""
    preview: Long | None = None
    """REST of a candidate that is tried before it takes the traffic."""


class RuntimeInUse(Part):
    """The runtime that the stable revision was rendered from."""

    name: Short | None = None
    """Name of the runtime."""
    image: Long | None = None
    """Image of the model container."""
    outdated: bool | None = None
    """Whether the runtime has changed since; a new `spec.runtime.refresh` takes it over."""


class RevisionReference(Part):
    """A revision, as others name it."""

    name: Short
    """Name of the revision and of its Deployment and Service."""
    number: Count | None = None
    """Number of the revision, for `undo --to-revision`."""
    hash: Short | None = None
    """Hash of its model and runtime."""
    version: Short | None = None
    """`spec.model.version` of the revision."""
    reason: Short | None = None
    """Why it failed."""
    message: Long | None = None
    """Why it failed, in a sentence."""
    time: Time | None = None
    """Since when it has this role."""


class RevisionModel(Part):
    """The model of a revision."""

    uri: Long | None = None
    """Where it was fetched from."""
    digest: Short | None = None
    """Digest of the bytes fetched first; all pods of the revision serve these."""


class RevisionReplicas(Part):
    """Pods of a revision."""

    desired: Count | None = None
    """Pods wanted now."""
    ready: Count | None = None
    """Pods that answer."""
    warmed: Count | None = None
    """Pods with a loaded and warmed model."""


class Revision(Part):
    """A revision that the operator keeps."""

    name: Short
    """Name of the revision and of its Deployment and Service."""
    number: Count | None = None
    """Number of the revision, for `undo --to-revision`."""
    hash: Short | None = None
    """Hash of its model and runtime."""
    version: Short | None = None
    """`spec.model.version` of the revision."""
    model: RevisionModel | None = None
    """Its model."""
    image_digest: Long | None = None
    """Image that its ready pods run, with its digest as the node reports it; several where somebody moved the tag."""
    created_at: Time | None = None
    """When it was born."""
    state: Short | None = None
    """What its pods do: `Pending`, `Loading`, `Warming`, `Validating`, `Ready`, `Serving`, `Draining`,
    `Retained` or `Failed`."""
    replicas: RevisionReplicas | None = None
    """Its pods."""
    refresh: Short | None = None
    """Id of the `refresh` command that gave it a newer runtime than these fields had before."""
    reason: Short | None = None
    """Why it failed or waits."""
    message: Long | None = None
    """Why it failed or waits, in a sentence."""
    drain_until: Time | None = None
    """Until when its pods still answer after their traffic has gone."""
    retain_until: Time | None = None
    """Until when its pods are kept to go back to."""


class TrafficShare(Part):
    """Share of a revision."""

    revision: Short
    """Name of the revision."""
    desired_weight: Count | None = None
    """Percent that it should get."""
    programmed_weight: Count | None = None
    """Percent that the gateway has confirmed."""
    mirror_percent: Count | None = None
    """Percent of all requests of which it answers a copy, for comparison; no caller waits for that."""
    match: Short | None = None
    """`candidateMatches` where requests that match go to it whatever the weights."""
    last_programmed_time: Time | None = None
    """When the gateway confirmed it."""


class LastCommand(Part):
    """The last command that was seen, and what came of it."""

    is_open: ClassVar[bool] = True

    raw: Long | None = None
    """The command annotation's value, so that it counts once."""
    raw_abort: Long | None = None
    """The abort annotation's value, so that it counts once."""
    id: Short | None = None
    """Id of the command."""
    verb: Short | None = None
    """What was asked for."""
    rollout: Count | None = None
    """The rollout that it was meant for."""
    step: Count | None = None
    """The step that it was meant for."""
    result: Short | None = None
    """`Accepted` or `Rejected`."""
    message: Long | None = None
    """What came of it, in a sentence."""
    by: Short | None = None
    """Who asked: the name that the command gives, `(claimed)`, else the `(field manager)` that wrote the annotation."""
    at: Time | None = None
    """When it was seen."""


class SegmentsStatus(Part):
    """What the groups of requests add to the verdict on a metric with `by`."""

    input: Short | None = None
    """The input whose values are the groups."""
    judged: Count | None = None
    """Groups with enough samples for a verdict, or with proof of harm."""
    small: Count | None = None
    """Groups with too few samples: they hold nothing and fail nothing."""
    worst: Short | None = None
    """The group that is nearest to the limit, or furthest beyond it. Where it decides the verdict, the figures of the
    metric are those of this group."""
    message: Long | None = None
    """The verdict on that group in a sentence."""


class MetricStatus(Part):
    """The verdict on one metric."""

    name: Short
    """Name of the metric."""
    verdict: Short | None = None
    """`Pass`, `Fail`, `Inconclusive`, `InsufficientSamples`, `NoData` or `ProviderError`."""
    message: Long | None = None
    """The estimate, its interval, the limit and the samples in a sentence, or what is missing."""
    estimate: float | None = None
    """What the figure probably is."""
    low: float | None = None
    """Lower end of its confidence interval."""
    high: float | None = None
    """Upper end of its confidence interval."""
    limit: float | None = None
    """The limit that it is held against."""
    samples: Count | None = None
    """Requests, pairs or answers that it is based on; of two revisions the smaller number."""
    needed: Count | None = None
    """Samples that are still needed before it can pass."""
    dry_run: bool | None = None
    """Whether it is without consequence."""
    segments: SegmentsStatus | None = None
    """The groups of requests. Absent: the metric has no `by`."""


class Disagreement(Part):
    """Two answers to one request that differ."""

    id: Short | None = None
    """Id of the request."""
    output: Short | None = None
    """Output that differs."""
    kind: Short | None = None
    """How: `class`, `number`, `vector`, `text` or `schema`."""
    stable: Long | None = None
    """What stable answered."""
    candidate: Long | None = None
    """What the candidate answered."""


class AnalysisStatus(Part):
    """The evidence of the present step, or of the last one that was judged."""

    step: Count | None = None
    """Index of the step, from 0; the number of steps for the bake."""
    verdict: Short | None = None
    """The worst verdict of all metrics that count."""
    message: Long | None = None
    """Why, in a sentence."""
    since: Time | None = None
    """When the step's traffic had settled; only what came later counts."""
    decided_at: Time | None = None
    """When the step was decided. Absent: it is not."""
    metrics: Annotated[tuple[MetricStatus, ...], Field(max_length=16)] = ()
    """The verdicts, metric by metric."""
    examples: Annotated[tuple[Disagreement, ...], Field(max_length=10)] = ()
    """Answers that differed."""
    silent: Annotated[tuple[Short, ...], Field(max_length=80)] = ()
    """Pods that gave no figures when they were read last."""


class RefreshStatus(Part):
    """Which refresh of the runtime the revision of the spec carries."""

    is_open: ClassVar[bool] = True

    id: Short | None = None
    """Id of the `refresh` command. Absent: an `undo` took a refresh back."""
    spec_hash: Short | None = None
    """Hash of the `model` and `runtime` that it is about."""
    by: Short | None = None
    """Who asked for it, as in `rollout.by`."""


class RolloutStatus(Part):
    """The rollout under way, or the last one."""

    is_open: ClassVar[bool] = True

    id: Count | None = None
    """Number of the rollout; it only rises."""
    revision: Short | None = None
    """Name of the candidate."""
    from_revision: Short | None = Field(default=None, validation_alias="from", serialization_alias="from")
    """Name of the revision that was stable when it began."""
    against: Short | None = None
    """After an undo: name of the revision that the spec still asks for."""
    strategy: Short | None = None
    """Strategy that it follows: `Initial`, `Rolling`, `Canary`, `BlueGreen` or `Return`."""
    plan: Short | None = None
    """ConfigMap that holds the rollout's spec as it was when it began."""
    source: Short | None = None
    """What asked for it: `Spec`, `Retry`, `Undo`, `Refresh` or, where the bake of the former one failed, `Bake`."""
    attempt: Count | None = None
    """How often this revision has been tried."""
    retry_at: Time | None = None
    """When it is tried again."""
    started_at: Time | None = None
    """When it began."""
    finished_at: Time | None = None
    """When it ended."""
    by: Short | None = None
    """Who asked for it, or for what it came to: approved it, aborted it, wrote a newer spec. A name that a command
    gives is `(claimed)`; else it is the `(field manager)` that the API server saw."""
    turned_back_at: Time | None = None
    """When it turned back."""
    outcome: Short | None = None
    """How it ended: `Promoted`, `FastPromoted`, `Aborted`, `Failed`, `Superseded` or `RolledBack`. Absent: it
    has not."""
    reason: Short | None = None
    """Why it ended so, or what it waits for."""
    message: Long | None = None
    """The reason in a sentence."""
    step_index: Count | None = None
    """Index of the step, from 0."""
    step_count: Count | None = None
    """Number of steps."""
    step_name: Short | None = None
    """Name of the step."""
    step_state: Short | None = None
    """Where within the step it is: `Scaling`, `Loading`, `Warming`, `Validating`, `Routing`, `Verifying`, `Settling`,
    `Holding`, `Analyzing`, `Promoting` or `RollingBack`."""
    step_started_at: Time | None = None
    """When the step began."""
    settled_at: Time | None = None
    """When the step's weight had settled."""
    hold_started_at: Time | None = None
    """When the hold began."""
    pause_started_at: Time | None = None
    """When it was paused. Absent: it is not."""
    paused: bool | None = None
    """Whether it was paused by a command."""
    approved: bool | None = None
    """Whether the step was approved by `promote`."""
    full: bool | None = None
    """Whether `promote --full` skips the steps that are left."""
    edited: bool | None = None
    """Whether `spec.rollout` has changed since it began; such an edit counts from the next rollout."""
    replacing: bool | None = None
    """Whether stable gives up a pod before the candidate gets one, since no node had room for more."""
    high_water_ready: Count | None = None
    """Most candidate pods that were ready at once: what the progress deadline looks at."""
    last_progress_at: Time | None = None
    """When that number last rose, or a step began."""
    base_replicas: Count | None = None
    """Pods that stable had when the rollout began."""
    analysis: AnalysisStatus | None = None
    """The evidence of the present step, or of the last one that was judged."""
    refresh: RefreshStatus | None = None
    """Which refresh of the runtime the revision of the spec carries. Absent: the one of the stable revision."""
    last_command: LastCommand | None = None
    """The last command that was seen, and what came of it."""


class RouteStatus(Part):
    """The HTTPRoute."""

    kind: Short | None = None
    """Its kind."""
    name: Short | None = None
    """Its name."""
    observed_generation: int | None = None
    """Generation of it that every gateway has confirmed."""
    programmed: bool | None = None
    """Whether every gateway named in the spec has confirmed its present generation."""


class HistoryEntry(Part):
    """A rollout that ended."""

    id: Count
    """Number of the rollout."""
    from_revision: Short | None = Field(default=None, validation_alias="from", serialization_alias="from")
    """Name of the revision that was stable when it began."""
    to_revision: Short | None = Field(default=None, validation_alias="to", serialization_alias="to")
    """Name of the candidate."""
    outcome: Short | None = None
    """How it ended."""
    reason: Short | None = None
    """Why it ended so."""
    started_at: Time | None = None
    """When it began."""
    finished_at: Time | None = None
    """When it ended."""
    strategy: Short | None = None
    """Strategy that it followed."""
    steps: Count | None = None
    """How many steps it reached, of `stepCount`."""
    step_count: Count | None = None
    """Number of steps."""
    by: Short | None = None
    """Who asked for it, or for what it came to, as in `rollout.by`."""
    message: Long | None = None
    """The reason in a sentence, or the evidence."""


class Status(Part):
    """What the operator found and did."""

    observed_generation: int = UNSEEN
    """Generation of the spec that this status speaks of. `-1`: the operator has not seen the object yet."""
    epoch: Count | None = None
    """Number of the operator's lease under which it was written."""
    phase: Short | None = None
    """The state in one word, for the eye; programs read the conditions."""
    message: Long | None = None
    """The state in a sentence, for the eye."""
    weight: Count | None = None
    """Percent of the traffic that the candidate has; 100 when there is none."""
    address: Address | None = None
    """Where the model answers."""
    runtime: RuntimeInUse | None = None
    """The runtime that the stable revision was rendered from."""
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=MAX_CONDITIONS, json_schema_extra=keyed_by("type"))
    ] = ()
    """The state, aspect by aspect."""
    replicas: Count | None = None
    """Pods of all revisions, for the scale subresource."""
    ready_replicas: Count | None = None
    """Pods of all revisions that answer."""
    selector: Long | None = None
    """Label selector of all pods, for the scale subresource."""
    stable_revision: RevisionReference | None = None
    """The revision that serves, or is gone back to."""
    candidate_revision: RevisionReference | None = None
    """The revision that a rollout brings in."""
    latest_ready_revision: RevisionReference | None = None
    """The newest revision that was ready."""
    last_failed_revision: RevisionReference | None = None
    """The last revision that failed, and why."""
    revisions: Annotated[tuple[Revision, ...], Field(max_length=MAX_REVISIONS)] = ()
    """The revisions that are kept."""
    traffic: Annotated[tuple[TrafficShare, ...], Field(max_length=MAX_REVISIONS)] = ()
    """Shares of the revisions with traffic."""
    rollout: RolloutStatus | None = None
    """The rollout under way, or the last one."""
    route: RouteStatus | None = None
    """The HTTPRoute."""
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=MAX_HISTORY)] = ()
    """The last rollouts that ended, oldest first."""

    def manifest(self) -> dict[str, object]:
        """The status as JSON, without what is absent."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
