"""Callers that send requests at an even rate, and what each process counted of them."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from statistics import NormalDist

from modelway import kinds, names
from modelway.analysis.figures import Pairs, Reading, Sums, bucket
from modelway.kinds import Manifest
from simulation.actors import Gateway
from simulation.clock import Clock, parse
from simulation.rules import Request
from simulation.scripts import Scripts
from simulation.selectors import endpoints, is_ready, labels, revision
from simulation.store import Store

_POINTS = [NormalDist().inv_cdf((index + 0.5) / 200) for index in range(200)]
"""Quantiles of the normal distribution: durations are log-normal."""
_SPREAD = 0.35


class Callers:
    """Counts by process, exactly as the shares say; what is planted in the scripts of the models shows in full."""

    def __init__(self, store: Store, clock: Clock, gateway: Gateway, scripts: Scripts) -> None:
        self._store = store
        self._clock = clock
        self._gateway = gateway
        self._scripts = scripts
        self.rate = 0.0
        """Requests per second to each model."""
        self.split: dict[str, int] = {}
        """Percent by Service, where something else than the weights decides; empty: nothing does."""
        self._until: datetime | None = None
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._latency: dict[str, Counter[int]] = {}
        self._compared: dict[str, tuple[float, float]] = {}
        """Pairs and disagreements of each comparator."""
        self._parts: dict[str, list[float]] = {}
        """What is left of a whole request, and of a whole error, by process."""

    def step(self) -> bool:
        """Send what is due; nobody sees it before a process is asked."""
        now = self._clock()
        since, self._until = self._until, now
        if since is None or now <= since or not self.rate:
            return False
        for owner in self._store.all(kinds.MODEL_DEPLOYMENT):
            self._send(owner, self.rate * (now - since).total_seconds())
            self._mirror(owner, self.rate * (now - since).total_seconds())
        return False

    def next_due(self) -> datetime | None:
        """Nothing here waits for time: whoever asks lets the callers catch up first."""
        return None

    def read(self, pod: Manifest, name: str) -> Reading:
        """What one process says about itself."""
        self.step()
        run = _run(pod)
        latency = dict(self._latency.get(run, {}))
        sums = Sums(requests=self._requests[run], errors=self._errors[run], latency=latency)
        uptime = (self._clock() - parse(pod["metadata"]["creationTimestamp"])).total_seconds()
        state = "Ready" if is_ready(pod) else "Loading"
        return Reading(
            pod=pod["metadata"]["name"], run=run, revision=name, state=state, uptime_seconds=uptime, sums=sums
        )

    def compared(self, deployment: Manifest) -> Reading:
        """What a comparator says."""
        self.step()
        name = deployment["metadata"]["name"]
        run = deployment["metadata"]["uid"]
        pairs, flipped = (int(amount) for amount in self._compared.get(run, (0.0, 0.0)))
        counted = Pairs(pairs=pairs, disagreements=flipped, baseline_pairs=pairs // 10)
        uptime = (self._clock() - parse(deployment["metadata"]["creationTimestamp"])).total_seconds()
        return Reading(pod=name, run=run, revision="", state="Ready", uptime_seconds=uptime, pairs=counted)

    def _mirror(self, owner: Manifest, amount: float) -> None:
        """Copies of the requests, to the comparator that the route names."""
        namespace = owner["metadata"]["namespace"]
        for service, percent in self._gateway.mirrors(Request()).items():
            deployment = self._store.find(kinds.DEPLOYMENT, namespace, service)
            if deployment is None:
                continue
            environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
            candidate = next(e["value"] for e in environment if e["name"] == "MODELWAY_CANDIDATE_REVISION")
            revision = self._store.find(kinds.CONTROLLER_REVISION, namespace, candidate)
            script = self._scripts.of(revision["data"]["source"]["model"]["uri"] if revision else "")
            copies = amount * percent / 100
            pairs, flipped = self._compared.get(deployment["metadata"]["uid"], (0.0, 0.0))
            self._compared[deployment["metadata"]["uid"]] = pairs + copies, flipped + copies * script.flips

    def _send(self, owner: Manifest, amount: float) -> None:
        for pod, share in self._shares(owner):
            script = self._scripts.of(_uri(pod))
            run = _run(pod)
            whole, failed = self._parts.setdefault(run, [0.5, 0.5])
            whole += amount * share
            requests = math.floor(whole)
            failed += requests * script.errors
            errors = min(requests, math.floor(failed))
            self._parts[run] = [whole - requests, failed - errors]
            self._requests[run] += requests
            self._errors[run] += errors
            counts = self._latency.setdefault(run, Counter())
            for _ in range(requests - errors):
                point = _POINTS[(counts.total() * 89) % len(_POINTS)]
                counts[bucket(script.latency * math.exp(_SPREAD * point))] += 1

    def _shares(self, owner: Manifest) -> Iterator[tuple[Manifest, float]]:
        """Each ready pod behind the model, with its share of the requests."""
        namespace, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
        weights = self.split or self._gateway.weights(namespace, name) or {name: 100}
        for backend, weight in weights.items():
            service = self._store.find(kinds.SERVICE, namespace, backend)
            pods = endpoints(service, self._store.all(kinds.POD)) if service else []
            yield from ((pod, weight / 100 / len(pods)) for pod in pods)


def _run(pod: Manifest) -> str:
    restarts = sum(item.get("restartCount", 0) for item in pod["status"].get("containerStatuses") or ())
    return f"{pod['metadata']['uid']}-{restarts}"


def _uri(pod: Manifest) -> str:
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    found = (item.get("value", "") for c in containers for item in c.get("env") or ())
    return next((value for value in found if value.startswith("s3://")), "")


def name_of(pod: Manifest) -> str:
    """The revision that a pod belongs to."""
    return names.revision(labels(pod)[names.MODEL_LABEL], revision(pod))
