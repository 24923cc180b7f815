"""One pass over one ModelDeployment: observe, plan, apply, status. The same whatever woke it."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from modelway import kinds
from modelway.analysis.figures import Readings
from modelway.analysis.inquiry import Inquiry
from modelway.api import reasons
from modelway.cluster.api import AlreadyExists, Api, ApiError, Forbidden, Invalid, NotFound
from modelway.cluster.snapshot import Key, Snapshot
from modelway.kinds import Kind, Manifest
from modelway.news import news
from modelway.observe import controller, observe
from modelway.plan.actions import Action, Apply, Create, Delete, Plan, Scale, Verify
from modelway.plan.observed import Features, Observed
from modelway.plan.planner import plan
from modelway.plan.trouble import Trouble
from modelway.settings import Settings
from modelway.status import is_news, next_wake, refusal, status

REFUSED_AGAIN_AFTER = timedelta(seconds=30)

log = logging.getLogger(__name__)


class Store(Protocol):
    """The cache, as far as a pass needs it."""

    def snapshot(self, key: Key) -> Snapshot:
        """What is known about one ModelDeployment."""
        ...

    def store(self, kind: Kind, manifest: Manifest) -> None:
        """Take in an answer of the API server."""
        ...

    def forget(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Drop an object that was deleted."""
        ...


class Asker(Protocol):
    """Who reads figures and asks providers, beside the passes."""

    def ask(self, key: Key, inquiry: Inquiry | None) -> None:
        """From now on ask this about that ModelDeployment, and nothing else."""
        ...

    def readings(self, key: Key) -> Readings | None:
        """What was read last."""
        ...


class Nobody:
    """Asks nothing and knows nothing."""

    def ask(self, key: Key, inquiry: Inquiry | None) -> None:
        """Nothing is asked."""

    def readings(self, key: Key) -> Readings | None:
        """Nothing was read."""


class Recorder(Protocol):
    """Where Events go."""

    def record(self, owner: Manifest, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Note one Event; it never fails."""
        ...


class Counters(Protocol):
    """What is worth counting."""

    def applied(self, action: str) -> None:
        """A write was made."""
        ...

    def repaired(self, kind: str) -> None:
        """What somebody had changed was put back."""
        ...

    def moved(self, old: Manifest, new: Manifest) -> None:
        """A status was written over another one."""
        ...


def _is_optional(action: Action) -> bool:
    """Whether the writes after it are as safe without it: an abort must not wait for a correct `autoscaling`."""
    return action.kind in _OPTIONAL_KINDS and not isinstance(action, Verify)


_OPTIONAL_KINDS = (kinds.HORIZONTAL_POD_AUTOSCALER, kinds.POD_DISRUPTION_BUDGET)


class Refused(Exception):
    """The API server will not have a write, and repeating it does not help."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


class Reconciler:
    """Brings one ModelDeployment a step nearer to what its spec asks for, at each call."""

    def __init__(
        self,
        *,
        api: Api,
        cache: Store,
        clock: Callable[[], datetime],
        settings: Settings,
        events: Recorder,
        counters: Counters,
        route_fields: frozenset[str] = frozenset(),
        asker: Asker | None = None,
    ) -> None:
        """`route_fields`: fields of an HTTPRoute rule that the cluster knows."""
        self._api = api
        self._cache = cache
        self._clock = clock
        self._features = Features(
            gateway=settings.gateway, runtime_image=settings.runtime_image, route_fields=route_fields
        )
        self._events = events
        self._counters = counters
        self._asker = asker or Nobody()

    async def reconcile(self, key: Key, epoch: int) -> datetime | None:
        """One pass. Answers when to come back by clock, None when only events matter.

        Expected trouble is in the status; a conflict or an API server that does not answer rises, to be tried again.
        """
        snapshot = self._cache.snapshot(key)
        if snapshot.owner is None:
            self._asker.ask(key, None)
            return None
        readings = self._asker.readings(key)
        observed = observe(snapshot, now=self._clock(), epoch=epoch, features=self._features, readings=readings)
        if observed.owner.is_deleting:
            self._asker.ask(key, None)
            return None
        decision = plan(observed)
        self._asker.ask(key, decision.inquiry)
        owner = await self._write_intent(snapshot.owner, observed, decision)
        trouble = await self._apply(owner, observed, decision.actions)
        await self._write(owner, status(observed, decision, trouble))
        return self._wake(observed, decision, trouble)

    def _wake(self, observed: Observed, decision: Plan, trouble: Trouble | None) -> datetime | None:
        """The planned time, or soon where this pass changed what the next one will see.

        Our own writes are in the cache already, so no event tells of them.
        """
        moments = [next_wake(decision, observed.now)]
        is_newborn = any(isinstance(action, Verify) for action in decision.actions)
        if trouble is not None and not (is_newborn and trouble.reason == "InvalidSpec"):
            moments.append(observed.now + REFUSED_AGAIN_AFTER)
        if trouble is None and any(isinstance(action, Create | Delete) for action in decision.actions):
            moments.append(observed.now)
        if trouble is None and any(isinstance(action, Apply) for action in decision.actions):
            moments.append(observed.now + timedelta(seconds=1))
        if decision.record != observed.record:
            moments.append(observed.now)
        return min((moment for moment in moments if moment), default=None)

    async def _write_intent(self, owner: Manifest, observed: Observed, decision: Plan) -> Manifest:
        """Before any effect: where a rollout is must be known to whoever takes over after a crash."""
        if decision.record == observed.record:
            return owner
        return await self._write(owner, status(observed, decision, refusal(observed)))

    async def _write(self, owner: Manifest, new: Manifest) -> Manifest:
        old = owner.get("status") or {}
        if not is_news(old, new):
            return owner
        written = await self._api.put_status({**owner, "status": new})
        self._cache.store(kinds.MODEL_DEPLOYMENT, written)
        self._counters.moved(old, new)
        for item in news(old, new):
            self._events.record(owner, item.type, item.reason, item.message)
        return written

    async def _apply(self, owner: Manifest, observed: Observed, actions: Sequence[Action]) -> Trouble | None:
        """Every action in order, up to the first that is refused and has nothing in its place."""
        found: Trouble | None = None
        for action in actions:
            trouble = await self._tried(observed, action)
            if trouble is None:
                self._tell(owner, action)
                continue
            found = found or trouble
            if not await self._goes_on(owner, observed, action):
                return found
        return found

    async def _goes_on(self, owner: Manifest, observed: Observed, refused: Action) -> bool:
        """Whether the writes after it are as safe without it, once what was planned in its place is done."""
        if isinstance(refused, Apply) and refused.otherwise is not None:
            return await self._apply(owner, observed, refused.otherwise) is None
        return _is_optional(refused)

    async def _tried(self, observed: Observed, action: Action) -> Trouble | None:
        """Do it; why it was refused, if it was."""
        try:
            await self._act(observed, action)
        except Refused as refused:
            log.warning("Was refused: %s", action.note, extra={"reason": refused.trouble.reason})
            return refused.trouble
        except (Invalid, Forbidden) as error:
            trouble = _trouble(error, action)
            log.warning("Was refused: %s", action.note, extra={"reason": trouble.reason, "error": error.message})
            return trouble
        except NotFound as error:
            # Of a child that is created or applied by its uid only one thing can be absent: the kind itself.
            if action.kind != kinds.HTTP_ROUTE or isinstance(action, Delete):
                raise
            message = f"This cluster has no HTTPRoutes (Gateway API) any more: {error.message}"[:512]
            return Trouble(reason="FeatureNotSupported", message=message, subject=action.kind.name)
        return None

    def _tell(self, owner: Manifest, action: Action) -> None:
        """Count what was done, and say so where it puts right what somebody else did."""
        self._counters.applied(type(action).__name__)
        if isinstance(action, Apply) and action.is_repair:
            self._counters.repaired(action.kind.name)
            message = f"{action.kind} {action.manifest['metadata']['name']} had been changed and is as it was again"
            self._events.record(owner, "Normal", reasons.state.DRIFT_REPAIRED.name, message)

    async def _act(self, observed: Observed, action: Action) -> None:
        match action:
            case Verify():
                await self._api.apply(action.kind, action.manifest, dry_run=True)
                return
            case Create():
                self._cache.store(action.kind, await self._create(observed, action))
            case Apply():
                self._cache.store(action.kind, await self._api.apply(action.kind, action.manifest))
            case Scale():
                namespace, version = observed.owner.namespace, action.resource_version
                answer = await self._api.scale(action.kind, namespace, action.name, action.replicas, version)
                self._cache.store(action.kind, _scaled(observed, action, answer))
            case Delete():
                namespace = observed.owner.namespace
                await self._api.delete(action.kind, namespace, action.name, action.uid)
                self._cache.forget(action.kind, namespace, action.name, action.uid)
        log.info("Did: %s", action.note, extra={"action": type(action).__name__, "kind": action.kind.name})

    async def _create(self, observed: Observed, action: Create) -> Manifest:
        """POST; an object of that name that is already there is ours, adopted, waited for, or a conflict."""
        name = action.manifest["metadata"]["name"]
        try:
            return await self._api.create(action.kind, action.manifest)
        except AlreadyExists:
            found = await self._api.get(action.kind, observed.owner.namespace, name)
        owner = controller(found)
        is_ours = owner is not None and owner["uid"] == observed.owner.uid
        if is_ours and _carries_our_labels(found, action.manifest):
            return found
        if is_ours or (owner is None and _carries_our_labels(found, action.manifest)):
            return await self._api.apply(action.kind, _over(found, action.manifest))
        if owner is not None and (owner["kind"], owner["name"]) == ("ModelDeployment", observed.owner.name):
            message = f"{action.kind} {name} still belongs to an earlier object of this name"
            raise Refused(Trouble(reason="WaitingForDeletion", message=message))
        message = f"{action.kind} {name} exists and is not ours: rename it or the ModelDeployment"
        raise Refused(Trouble(reason="Conflict", message=message))


def _over(found: Manifest, manifest: Manifest) -> Manifest:
    """To be applied over exactly what was found; a Deployment's count is only set through the scale subresource."""
    identity = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
    guarded = {**manifest, "metadata": manifest["metadata"] | identity}
    if manifest["kind"] == "Deployment":
        guarded["spec"] = {key: value for key, value in manifest["spec"].items() if key != "replicas"}
    return guarded


def _scaled(observed: Observed, action: Scale, answer: Manifest) -> Manifest:
    """The Deployment as it is now: the next pass may come before its watch does, and counts what is asked for."""
    revision = observed.revision(action.name)
    assert revision is not None
    assert revision.workload is not None
    stored, version = revision.workload.manifest, answer["metadata"]["resourceVersion"]
    metadata, spec = stored["metadata"] | {"resourceVersion": version}, stored["spec"] | {"replicas": action.replicas}
    return {**stored, "metadata": metadata, "spec": spec}


def _carries_our_labels(found: Manifest, wanted: Manifest) -> bool:
    labels = found["metadata"].get("labels") or {}
    keys = ("serving.modelway.io/model", "app.kubernetes.io/managed-by")
    return all(labels.get(key) == wanted["metadata"]["labels"].get(key) for key in keys)


def _trouble(error: ApiError, action: Action) -> Trouble:
    """An answer that repeating does not change, as a reason of the closed list."""
    is_policy = "admission webhook" in error.message or "denied request" in error.message
    if isinstance(error, Invalid) and not is_policy:
        paths = "; ".join(f"{field}: {message}" for field, message in error.causes) or error.message
        message = f"The API server refuses the {action.kind}: {paths}"
        return Trouble(reason="InvalidSpec", message=message[:512], subject=action.kind.name)
    message = f"{action.kind}: {error.message}"[:512]
    if "exceeded quota" in error.message:
        return Trouble(reason="QuotaExceeded", message=message, subject=action.kind.name)
    is_rbac = "cannot " in error.message and "User " in error.message
    return Trouble(reason="RBACDenied" if is_rbac else "WriteDenied", message=message, subject=action.kind.name)
