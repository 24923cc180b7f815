"""The simulated cluster as a whole: who acts next, when time passes, and what a user does."""

import copy
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from modelway import kinds, names
from modelway.kinds import Kind, Manifest
from simulation import models, rules
from simulation.actors import Autoscaler, GarbageCollector, Gateway
from simulation.asker import Asker, Provider
from simulation.callers import Callers
from simulation.clock import Clock, stamp
from simulation.kubelet import Kubelet
from simulation.narrator import Narrator
from simulation.notes import Aliases, describe, place
from simulation.operator import Process
from simulation.oracle import Oracle
from simulation.recorder import Recorder
from simulation.rules import Request
from simulation.scripts import Script, Scripts
from simulation.selectors import endpoints, is_ready, revision
from simulation.server import Died, Server, Write
from simulation.store import Store
from simulation.workloads import DeploymentController, terminate

MAX_MOVES = 3_000
"""Moves at one moment of simulated time; more is a loop that no clock ends."""


class Actor(Protocol):
    """Somebody who changes the cluster: does all that is due, and says when something is due next."""

    def step(self) -> bool: ...

    def next_due(self) -> datetime | None: ...


class World:
    """With a seed the next mover is drawn; without one all actors move, then events arrive, then a pass runs."""

    def __init__(
        self,
        *,
        seed: int | None = None,
        has_gateway: bool = True,
        route_fields: frozenset[str] = frozenset({"name"}),
    ) -> None:
        """`route_fields`: optional fields that the rules of HTTPRoutes have; by default as in the standard channel."""
        self.clock = Clock()
        self.store = Store(self.clock)
        self.scripts = Scripts()
        self.server = Server(self.store, self.clock)
        if not has_gateway:
            self.server.absent.add(kinds.HTTP_ROUTE)
        self.kubelet = Kubelet(self.store, self.clock, self.scripts)
        self.workloads = DeploymentController(self.store, self.clock)
        self.autoscaler = Autoscaler(self.store, self.clock)
        self.gateway = Gateway(self.store, self.clock)
        self.garbage = GarbageCollector(self.store, self.clock)
        self.callers = Callers(self.store, self.clock, self.gateway, self.scripts)
        self.providers: dict[str, Provider] = {}
        """Answers of Prometheus and the like, by name of the metric."""
        self.actors: list[Actor] = [self.workloads, self.kubelet, self.autoscaler, self.garbage]
        if has_gateway:
            self.actors.append(self.gateway)
        self.recorder = Recorder(self.say)
        self.oracle = Oracle(self.store, self.clock, self.gateway, lambda: self.process.view)
        self.server.observers += [self._log_write, self.oracle.check]
        self.aliases = Aliases()
        self.log: list[str] = []
        self._narrator = Narrator(self)
        self.crashes = 0
        self._order = random.Random(seed) if seed is not None else None
        self._has_gateway = has_gateway
        self.route_fields = route_fields
        self._moves = 0
        self._edits = 0
        self._resting: dict[int, tuple[int, datetime, int]] = {}
        self._epoch = 0
        self.image = models.IMAGE
        """The runtime image that the operator's process is started with."""
        self.store.insert(kinds.CLUSTER_MODEL_RUNTIME, copy.deepcopy(models.RUNTIME))
        self.process = self._start()

    def apply(self, spec: Manifest, name: str = "fraud", *, say: str = "", **metadata: Any) -> None:
        """`kubectl apply` by the user: a new object, or a new spec."""
        self.say(say or f"USER     applies {spec.get('model', {}).get('version', '')}")
        live = self.store.find(kinds.MODEL_DEPLOYMENT, models.NAMESPACE, name)
        self._moves = 0
        spec = copy.deepcopy(spec)
        if live is None:
            identity = {"name": name, "namespace": models.NAMESPACE, **metadata}
            identity |= self._signature(identity, "kubectl-client-side-apply", {"f:spec": {}})
            self.store.insert(kinds.MODEL_DEPLOYMENT, {"metadata": identity, "spec": spec})
            return
        signed = live["metadata"] | self._signature(live["metadata"], "kubectl-client-side-apply", {"f:spec": {}})
        self.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "metadata": signed, "spec": spec})

    def _signature(self, metadata: Manifest, manager: str, fields: Manifest) -> Manifest:
        """The entry of one writer in `managedFields`, beside those of the others."""
        others = [entry for entry in metadata.get("managedFields", ()) if entry["manager"] != manager]
        entry = {"manager": manager, "operation": "Update", "time": stamp(self.clock()), "fieldsV1": fields}
        return {"managedFields": [*others, entry]}

    def edit(self, name: str = "fraud", **fields: Any) -> None:
        """Change top-level fields of the spec; None removes one."""
        spec = {**self.model(name)["spec"], **fields}
        said = ", ".join(f"{key}={value}" for key, value in fields.items())
        self.apply({key: v for key, v in spec.items() if v is not None}, name, say=f"USER     sets {said}")

    def command(self, verb: str, name: str = "fraud", value: str = "") -> None:
        """Write a command annotation, as `kubectl annotate --overwrite` does."""
        self.say(f"USER     says {value or verb}")
        annotation = models.annotation(verb)
        live = self.model(name)
        annotations = {**(live["metadata"].get("annotations") or {}), annotation: value or verb}
        metadata = {**live["metadata"], "annotations": annotations}
        metadata |= self._signature(
            metadata, "kubectl-annotate", {"f:metadata": {"f:annotations": {f"f:{annotation}": {}}}}
        )
        self.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "metadata": metadata})

    def change(self, kind: Kind, name: str, edit: Callable[[Manifest], None]) -> None:
        """Somebody else edits an object of the cluster by a plain update."""
        live = self.store.find(kind, models.NAMESPACE if kind.namespaced else "", name)
        assert live is not None
        after = copy.deepcopy(live)
        edit(after)
        self.server.owners.edited(live["metadata"]["uid"], "somebody", live, after)
        self.store.replace(kind, live, after)

    def delete(self, name: str = "fraud", *, orphan: bool = False) -> None:
        """`kubectl delete`, in the background or with `--cascade=orphan`."""
        live = self.model(name)
        if orphan:
            for kind, child in list(self.store.everything()):
                owners = child["metadata"].get("ownerReferences") or []
                rest = [owner for owner in owners if owner["uid"] != live["metadata"]["uid"]]
                if rest != owners:
                    self.store.replace(
                        kind, child, {**child, "metadata": {**child["metadata"], "ownerReferences": rest}}
                    )
        self.store.remove(kinds.MODEL_DEPLOYMENT, live)

    def script(self, version: str, **changes: Any) -> None:
        """How the pods of a version behave from now on."""
        self.scripts.by_uri[models.uri(version)] = Script(**changes)
        self.kubelet.look_again()

    def evict(self, pod: Manifest) -> None:
        """Delete a pod, as a drain of its node does."""
        self.say(f"         {pod['metadata']['name']} is evicted")
        terminate(self.store, self.clock(), pod)

    def model(self, name: str = "fraud") -> Manifest:
        """The ModelDeployment."""
        found = self.store.find(kinds.MODEL_DEPLOYMENT, models.NAMESPACE, name)
        assert found is not None, f"no ModelDeployment {name}"
        return found

    def status(self, name: str = "fraud") -> Manifest:
        """Its status."""
        return dict(self.model(name).get("status") or {})

    def rollout(self, name: str = "fraud") -> Manifest:
        """Its rollout."""
        return dict(self.status(name).get("rollout") or {})

    def condition(self, kind: str, name: str = "fraud") -> Manifest:
        """One of its conditions, empty when absent."""
        conditions = self.status(name).get("conditions") or ()
        return next((dict(item) for item in conditions if item["type"] == kind), {})

    def revision_of(self, version: str, name: str = "fraud") -> str:
        """Name of the youngest revision of a version, "" before it is born."""
        found = [
            item
            for item in self.store.all(kinds.CONTROLLER_REVISION, models.NAMESPACE)
            if item["metadata"]["labels"].get(names.MODEL_LABEL) == name
            and item["data"]["source"]["model"]["uri"] == models.uri(version)
        ]
        return str(max(found, key=lambda item: item["revision"])["metadata"]["name"]) if found else ""

    def replicas(self, version: str) -> int:
        """Pods that a version's Deployment asks for."""
        found = self.store.find(kinds.DEPLOYMENT, models.NAMESPACE, self.revision_of(version))
        return int(found["spec"]["replicas"]) if found else 0

    def pods(self, version: str = "", *, ready: bool = False) -> list[Manifest]:
        """Pods that are not ending, of one version or of all."""
        wanted = self.revision_of(version).rsplit("-", 1)[-1]
        return [
            pod
            for pod in self.store.all(kinds.POD, models.NAMESPACE)
            if (not version or revision(pod) == wanted)
            and "deletionTimestamp" not in pod["metadata"]
            and (is_ready(pod) or not ready)
        ]

    def weights(self, name: str = "fraud") -> dict[str, int]:
        """Weights of the route by version, those of 0 left out."""
        route = self.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, name)
        return {self.version_of(name): weight for name, weight in rules.weights(route).items() if weight}

    def matched(self, name: str = "fraud") -> set[str]:
        """Versions that requests with certain headers go to by the route."""
        route = self.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, name)
        return {self.version_of(found) for found in rules.matched(route)}

    def previewed(self, name: str = "fraud") -> set[str]:
        """Versions that the preview host names lead to."""
        route = self.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, f"{name}-preview")
        return {self.version_of(found) for found in rules.weights(route)}

    def answers(self, **request: Any) -> set[str]:
        """Versions that may answer a request through the gateway now."""
        return {self.version_of(found) for found in self.gateway.answering(Request(**request))}

    def version_of(self, name: str) -> str:
        """The version that a revision serves."""
        found = self.store.find(kinds.CONTROLLER_REVISION, models.NAMESPACE, name)
        return str(found["data"]["source"]["model"]["version"]) if found else name

    def selected(self, name: str = "fraud") -> set[str]:
        """Versions with a ready pod behind the model's Service."""
        service = self.store.find(kinds.SERVICE, models.NAMESPACE, name)
        found = endpoints(service, self.store.all(kinds.POD)) if service else []
        return {self.version_of(names.revision(name, revision(pod))) for pod in found}

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self._edits += 1
        end = self.clock() + timedelta(seconds=seconds)
        while self._step(end):
            pass
        self.clock.advance_to(end)
        self._moves = 0

    def run_until(self, condition: Callable[[], bool], *, within: float = 600) -> None:
        """Let time pass until something holds."""
        self._edits += 1
        end = self.clock() + timedelta(seconds=within)
        while not condition():
            if not self._step(end):
                raise AssertionError(f"not within {within} s: {self.picture()}")

    def run_to_phase(self, phase: str, *, within: float = 600) -> None:
        """Let time pass until the present generation is in a phase."""
        self.run_until(lambda: self.status().get("phase") == phase and self.is_observed(), within=within)

    def is_observed(self, name: str = "fraud") -> bool:
        """Whether the status is about the present spec."""
        return bool(self.status(name).get("observedGeneration") == self.model(name)["metadata"]["generation"])

    def crash(self) -> None:
        """The operator's process dies; another takes over from what is stored."""
        self.crashes += 1
        self.say("         the operator is restarted")
        lag = self.process.view.lag
        self.process = self._start()
        self.process.view.lag = lag

    def gain_gateway(self) -> None:
        """The Gateway API is installed, with a gateway; the operator starts anew to use it."""
        self._has_gateway = True
        self.server.absent.discard(kinds.HTTP_ROUTE)
        self.actors.append(self.gateway)
        self.crash()

    def add_gateway(self, *features: str) -> None:
        """The Gateway that models name, and a class that reports these features."""
        reported = [{"name": feature} for feature in sorted(features)]
        self.store.insert(
            kinds.GATEWAY_CLASS, {"metadata": {"name": "test"}, "status": {"supportedFeatures": reported}}
        )
        parent = models.GATEWAY["parentRefs"][0]
        self.store.insert(kinds.GATEWAY, {"metadata": dict(parent), "spec": {"gatewayClassName": "test"}})

    def say(self, text: str) -> None:
        """A line in the log about what the operator did not do."""
        self.log.append(f"{self.clock.elapsed:>6.0f}s  {text}")

    def picture(self) -> str:
        """Where everything stands, for the message of a failed test."""
        pods = [f"{p['metadata']['name']}{'(ready)' if is_ready(p) else ''}" for p in self.store.all(kinds.POD)]
        lines = [f"phase {s.get('phase')}: {s.get('message')} {s.get('rollout')}" for s in [self.status()]]
        lines += [f"weights {self.weights()} pods {pods}", f"errors {self.process.errors[-3:]}", *self.log[-25:]]
        return self.aliases.shorten("\n".join(lines))

    def trace(self) -> list[tuple[Any, ...]]:
        """Rollout, step and sub-state, each time they changed."""
        places = [
            place((write.after or {}).get("status", {}).get("rollout") or {})
            for write in self.server.writes
            if write.verb == "status"
        ]
        known = [found for found in places if found[0] is not None]
        return [found for before, found in zip([None, *known], known, strict=False) if found != before]

    def effects(self) -> set[tuple[str, str, str]]:
        """What was created and deleted."""
        return {
            (write.verb, write.kind.name, write.name)
            for write in self.server.writes
            if write.verb in ("create", "delete")
        }

    def log_of(self, number: int) -> str:
        """The line of one write."""
        return self.aliases.shorten(describe(self.server.writes[number - 1]))

    def golden(self) -> str:
        """The whole log with short names."""
        return "".join(f"{self.aliases.shorten(line).rstrip()}\n" for line in self.log)

    def _start(self) -> Process:
        self._epoch += 1
        return Process(
            self.store,
            self.server,
            self.clock,
            self.recorder,
            Asker(self.store, self.clock, self.callers, self.providers),
            has_gateway=self._has_gateway,
            route_fields=self.route_fields if self._has_gateway else frozenset(),
            epoch=self._epoch,
            image=self.image,
        )

    def _log_write(self, write: Write) -> None:
        self.aliases.learn(write)
        self.log.append(f"{write.at_seconds:>6.0f}s  {describe(write)}")

    def _step(self, end: datetime) -> bool:
        """One move, or the next moment. False: nothing moves before `end`."""
        if self._move():
            self._narrator.tell()
            self._moves += 1
            assert self._moves < MAX_MOVES, f"no rest at one moment: {self.picture()}"
            return True
        due = [*(actor.next_due() for actor in self.actors)]
        due += [self.process.next_due(), self.process.view.next_due()]
        later = [moment for moment in due if moment is not None]
        if not later or min(later) > end:
            return False
        self._moves = 0
        self.clock.advance_to(min(later))
        return True

    def _move(self) -> bool:
        self.callers.step()
        movers: list[Callable[[], bool]] = [
            *(partial(self._act, actor) for actor in self.actors),
            self._deliver,
            self._read,
            self._reconcile,
        ]
        if self._order:
            self._order.shuffle(movers)
            return any(move() for move in movers)
        acted = [move() for move in movers[:-3]]
        return any(acted) or self._deliver() or self._read() or self._reconcile()

    def _read(self) -> bool:
        return self.process.read()

    def _act(self, actor: Actor) -> bool:
        """Let an actor act, unless it has just said that it has nothing to do and nothing has happened since."""
        moment = (len(self.store.journal), self.clock(), self._edits)
        if self._resting.get(id(actor)) == moment:
            return False
        moved = actor.step()
        if not moved:
            self._resting[id(actor)] = moment
        return moved

    def _deliver(self) -> bool:
        touched = self.process.view.deliver(self._order)
        self.oracle.watch_traffic()
        if touched is None:
            return False
        self.process.add(touched)
        return True

    def _reconcile(self) -> bool:
        try:
            moved = self.process.reconcile(self._order)
        except Died:
            self.crash()
            moved = True
        assert not self.oracle.violations, f"{self.oracle.violations}\n{self.picture()}"
        return moved
