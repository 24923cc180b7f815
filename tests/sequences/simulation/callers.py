"""Callers that send requests at an even rate, and what each process counted of them."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from modelway import kinds, names
from modelway.analysis.deviations import BOUNDS, Moments
from modelway.analysis.figures import Pairs, Reading, Sums, bucket
from modelway.analysis.inquiry import Division, Target
from modelway.kinds import Manifest
from simulation.actors import Gateway
from simulation.clock import Clock, parse
from simulation.groups import Process, Shares
from simulation.rules import Request
from simulation.scripts import Script, Scripts
from simulation.selectors import endpoints, is_ready, labels, revision
from simulation.store import Store


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
        self.told = 0.0
        """Share of the predictions whose outcome is told."""
        self.languages: Shares = {}
        """Of the requests, by the value of their input `language`; empty: they bring none."""
        self.count_languages = True
        """Whether processes count by group: older ones do not."""
        self._divided: dict[str, Process] = {}
        """What each process counts by group."""
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
            self._send(owner, since, now)
            self._mirror(owner, self.rate * (now - since).total_seconds())
        return False

    def next_due(self) -> datetime | None:
        """Nothing here waits for time: whoever asks lets the callers catch up first."""
        return None

    def read(self, pod: Manifest, target: Target, division: Division | None) -> Reading:
        """What one process says about itself."""
        self.step()
        run = _run(pod)
        latency = dict(self._latency.get(run, {}))
        sums = Sums(
            requests=self._requests[run],
            errors=self._errors[run],
            latency=latency,
            drifts=self._scripts.of(_uri(pod)).drifts(self._requests[run]) if target.has_drift else {},
        )
        uptime = (self._clock() - parse(pod["metadata"]["creationTimestamp"])).total_seconds()
        state = "Ready" if is_ready(pod) else "Loading"
        by_group = None
        if division is not None and self.count_languages:
            by_group = self._process(run).asked(division, target.known, self._clock())
        return Reading(
            pod=target.pod,
            run=run,
            revision=target.revision,
            state=state,
            uptime_seconds=uptime,
            sums=sums,
            feedback=self._feedback(target.revision, pod["metadata"]["namespace"], sums.answered) if self.told else {},
            divided=by_group,
        )

    def _feedback(self, name: str, namespace: str, answered: int) -> dict[str, Sums]:
        """What a process is told of, which is what its own revision predicted."""
        revision = self._store.find(kinds.CONTROLLER_REVISION, namespace, name)
        script = self._scripts.of(revision["data"]["source"]["model"]["uri"] if revision else "")
        labels = math.floor(answered * self.told)
        right, half = math.floor(labels * script.accuracy), labels // 2
        off = {bisect_left(BOUNDS, error): Moments(half, half * error, half * error**2) for error in script.errors_off}
        return {name.rpartition("-")[2]: Sums(labels=labels, right=right, deviations=off if half else {})}

    def _process(self, run: str) -> Process:
        return self._divided.setdefault(run, Process(run))

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

    def _send(self, owner: Manifest, since: datetime, until: datetime) -> None:
        amount = self.rate * (until - since).total_seconds()
        for pod, share in self._shares(owner):
            script = self._scripts.of(_uri(pod))
            run = _run(pod)
            if self.languages:
                requests, errors = self._speak(run, script, amount * share, since, until)
            else:
                requests, errors = self._sent(run, script, amount * share)
            self._requests[run] += requests
            self._errors[run] += errors
            counts = self._latency.setdefault(run, Counter())
            for _ in range(requests - errors):
                counts[bucket(script.duration(counts.total()))] += 1

    def _sent(self, run: str, script: Script, amount: float) -> tuple[int, int]:
        """Whole requests, and those of them that fail."""
        whole, failed = self._parts.setdefault(run, [0.5, 0.5])
        whole += amount
        requests = math.floor(whole)
        failed += requests * script.errors
        errors = min(requests, math.floor(failed))
        self._parts[run] = [whole - requests, failed - errors]
        return requests, errors

    def _speak(self, run: str, script: Script, amount: float, since: datetime, until: datetime) -> tuple[int, int]:
        """The same of requests that bring a value."""
        process, requests, errors = self._process(run), 0, 0
        for value, share in self.languages.items():
            sent, failed = process.send(value, script, amount * share, since, until)
            requests, errors = requests + sent, errors + failed
        return requests, errors

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
