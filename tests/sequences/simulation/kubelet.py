"""Scheduler and kubelet: takes each pod through its life as the script of its model says."""

from datetime import datetime, timedelta
from typing import Any

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import pods
from simulation.clock import Clock, parse
from simulation.pods import Container, End, Run, Stage
from simulation.scripts import Script, Scripts
from simulation.selectors import revision
from simulation.store import Store


class Kubelet:
    """An actor: `step` does all that is due now and says whether anything changed."""

    def __init__(self, store: Store, clock: Clock, scripts: Scripts) -> None:
        self._store = store
        self._clock = clock
        self._scripts = scripts
        self._runs: dict[str, Run] = {}
        self._seen: dict[str, tuple[int, bool]] = {}
        """Object and readiness at the last look; the journal keeps every object alive, so ids stay unique."""
        self.devices: int | None = None
        """Pods that ask for a device which the nodes can hold at once; None: any number."""
        self.unready: set[str] = set()
        """Uids of pods whose readiness probe fails, whatever their script says."""
        self.unscheduled = 0
        """How many pods found no node at their first try."""
        self.fetched = 0
        """How often a model was downloaded."""

    def step(self) -> bool:
        """Bring every pod up to now."""
        changed = False
        alive = set()
        for pod in self._store.all(kinds.POD):
            alive.add(pod["metadata"]["uid"])
            changed |= self._step_pod(pod)
        for uid in self._runs.keys() - alive:
            del self._runs[uid]
        return changed

    def next_due(self) -> datetime | None:
        """When something happens by itself next."""
        return min((run.due for run in self._runs.values()), default=None)

    def look_again(self) -> None:
        """Retry at once what waits for something outside (a lifted fault)."""
        for run in self._runs.values():
            hangs = run.stage is Stage.LOADING and run.due > self._clock() + _FOREVER / 2
            if hangs or run.stage in (Stage.SCHEDULING, Stage.STARTING):
                run.due = min(run.due, self._clock())

    def kill(self, pod: Manifest, *, reason: str = "Error", exit_code: int = 137) -> None:
        """End the model container of a ready pod; the kubelet starts it again after its back-off."""
        run = self._runs[pod["metadata"]["uid"]]
        now = self._clock()
        end = End(reason, exit_code, "", run.model.started or now, now)
        run.back_off(run.model, Stage.LOAD_BACK_OFF, end)
        self._write(pod, run)

    def evict(self, pod: Manifest) -> None:
        """End a pod because its node runs short: it stays as a record of that until somebody deletes it."""
        run = self._runs.pop(pod["metadata"]["uid"])
        now = self._clock()
        run.model.end(End("Error", 137, "", run.model.started or now, now))
        status = run.status(pod["status"], now) | {"phase": "Failed", "reason": "Evicted"}
        self._store.replace(kinds.POD, pod, {**pod, "status": status})

    def _step_pod(self, pod: Manifest) -> bool:
        if pod["status"].get("phase") == "Failed":
            return False
        now = self._clock()
        uid = pod["metadata"]["uid"]
        run = self._runs.get(uid)
        if run and run.due > now and self._seen.get(uid) == (id(pod), uid in self.unready):
            return False
        script = self._script(pod)
        if run is None:
            run = self._runs[uid] = Run(pods.created(pod) + timedelta(seconds=script.schedule))
            run.model.image = script.image
            run.gate = next((pods.Container(name) for name in _init_names(pod) if name == "gate"), None)
        if "deletionTimestamp" in pod["metadata"] and run.stage is not Stage.ENDING:
            asked = parse(pod["metadata"]["deletionTimestamp"])
            grace = timedelta(seconds=pod["metadata"]["deletionGracePeriodSeconds"])
            run.stage, run.due = Stage.ENDING, asked - grace + timedelta(seconds=script.ends)
        while run.due <= now:
            if run.stage is Stage.ENDING:
                self._store.remove(kinds.POD, pod)
                del self._runs[uid]
                return True
            self._advance(pod, run, script, run.due)
        if run.stage is not Stage.ENDING:
            run.model.is_ready = run.stage is Stage.READY and uid not in self.unready
            if run.gate:
                run.gate.is_ready = run.model.is_ready
        changed = self._write(pod, run)
        stored = self._store.find(kinds.POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._seen[uid] = (id(stored), uid in self.unready)
        return changed

    def _write(self, pod: Manifest, run: Run) -> bool:
        status = run.status(pod.get("status") or {}, self._clock())
        after = self._store.replace(kinds.POD, pod, {**pod, "status": status})
        return after is not pod

    def _script(self, pod: Manifest) -> Script:
        return self._scripts.of(_environment(pod).get("MODELWAY_MODEL_URI", ""))

    def _advance(self, pod: Manifest, run: Run, script: Script, now: datetime) -> None:
        match run.stage:
            case Stage.SCHEDULING:
                self._schedule(pod, run, script, now)
            case Stage.STARTING:
                self._start(pod, run, script, now)
            case Stage.FETCHING:
                self._finish_fetch(pod, run, script, now)
            case Stage.FETCH_BACK_OFF:
                _begin(run, run.fetch, Stage.FETCHING, now, script.fetch)
            case Stage.LOAD_BACK_OFF:
                _begin(run, run.model, Stage.LOADING, now, script.load)
            case Stage.GATE_BACK_OFF:
                _begin(run, run.gate or run.model, Stage.LOADING, now, script.load)
            case Stage.LOADING:
                self._finish_load(pod, run, script, now)
            case Stage.READY | Stage.UNREADY:
                run.stage = Stage.UNREADY if run.stage is Stage.READY and script.flaps_every else Stage.READY
                run.due = now + (timedelta(seconds=script.flaps_every) if script.flaps_every else _FOREVER)
            case Stage.ENDING:
                raise AssertionError("an ending pod is removed by its caller")

    def _schedule(self, pod: Manifest, run: Run, script: Script, now: datetime) -> None:
        missing = "cpu" if script.is_unschedulable else "" if self._has_device(pod) else "nvidia.com/gpu"
        if missing:
            self.unscheduled += not run.unschedulable
            run.unschedulable = f"0/1 nodes are available: 1 Insufficient {missing}."
            run.due = now + pods.RECHECK
            return
        run.unschedulable, run.has_node = "", True
        run.stage, run.due = Stage.STARTING, now

    def _has_device(self, pod: Manifest) -> bool:
        """Whether one is left, or none is asked for; a pod that ends has its own until it is gone."""
        if self.devices is None or not pods.holds_devices(pod):
            return True
        others = (item for item in self._store.all(kinds.POD) if item["metadata"]["uid"] in self._runs)
        runs = (self._runs[item["metadata"]["uid"]] for item in others if pods.holds_devices(item))
        return sum(run.has_node for run in runs) < self.devices

    def _start(self, pod: Manifest, run: Run, script: Script, now: datetime) -> None:
        if script.image_is_missing:
            reason = "ErrImagePull" if run.fetch.waiting == "PodInitializing" else "ImagePullBackOff"
            run.wait(run.fetch, reason, 'failed to pull image "localhost/modelway-runtime:0.1.0": not found', now)
            return
        missing = [name for name in _secrets(pod) if name not in self._scripts.secrets]
        if missing:
            run.wait(run.fetch, "CreateContainerConfigError", f'secret "{missing[0]}" not found', now)
            return
        _begin(run, run.fetch, Stage.FETCHING, now, script.fetch)

    def _finish_fetch(self, pod: Manifest, run: Run, script: Script, now: datetime) -> None:
        self.fetched += 1
        digest = self._scripts.digest(_environment(pod).get("MODELWAY_MODEL_URI", ""))
        pins = {self._lock(pod), _environment(pod).get("MODELWAY_MODEL_DIGEST", "")} - {"", digest}
        reason = script.fetch_failure or ("DigestMismatch" if pins else "")
        end = pods.finished(run, run.fetch, script, now, reason=reason, digest=digest)
        if reason:
            run.back_off(run.fetch, Stage.FETCH_BACK_OFF, end)
            return
        run.fetch.end(end)
        run.model.image = script.image
        if run.gate:
            run.gate.start(now)
        _begin(run, run.model, Stage.LOADING, now, script.load)

    def _finish_load(self, pod: Manifest, run: Run, script: Script, now: datetime) -> None:
        end = self._failed_load(pod, run, script, now)
        if end and run.gate and _is_of_gate(end):
            run.model.is_up = True
            run.back_off(run.gate, Stage.GATE_BACK_OFF, end)
        elif end:
            run.back_off(run.model, Stage.LOAD_BACK_OFF, end)
        elif script.is_never_ready:
            run.due = now + _FOREVER
        else:
            run.stage, run.model.is_up = Stage.READY, True
            run.due = now + (timedelta(seconds=script.flaps_every) if script.flaps_every else _FOREVER)

    def _failed_load(self, pod: Manifest, run: Run, script: Script, now: datetime) -> End | None:
        started = run.model.started or now
        if script.uses_too_much_memory:
            return End("OOMKilled", 137, "", started, now)
        if script.crashes:
            return End("Error", 139, "Segmentation fault (core dumped)", started, now)
        reason = script.load_failure
        if script.answers_wrong and self._golden(pod):
            reason = "GoldenRequestFailed"
        return pods.finished(run, run.model, script, now, reason=reason) if reason else None

    def _lock(self, pod: Manifest) -> str:
        return str(self._config(pod, names.lock).get("digest", "")).strip()

    def _golden(self, pod: Manifest) -> bool:
        return bool(self._config(pod, names.golden)) or bool(_environment(pod).get("MODELWAY_GOLDEN_FILE"))

    def _config(self, pod: Manifest, name: Any) -> dict[str, str]:
        model = pod["metadata"]["labels"].get(names.MODEL_LABEL, "")
        wanted = name(names.revision(model, revision(pod)))
        found = self._store.find(kinds.CONFIG_MAP, pod["metadata"]["namespace"], wanted)
        return dict((found or {}).get("data") or {})


_FOREVER = timedelta(days=36500)


def _begin(run: Run, container: Container, stage: Stage, now: datetime, seconds: float) -> None:
    container.start(now)
    run.stage, run.due = stage, now + timedelta(seconds=seconds)


def _init_names(pod: Manifest) -> list[str]:
    return [item["name"] for item in pod["spec"].get("initContainers") or ()]


def _is_of_gate(end: End) -> bool:
    """Whether a gate finds it out, which leaves the server running."""
    return any(reason in end.message for reason in ("WarmupFailed", "GoldenRequestFailed"))


def _environment(pod: Manifest) -> dict[str, str]:
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    return {item["name"]: item.get("value", "") for c in containers for item in c.get("env") or ()}


def _secrets(pod: Manifest) -> list[str]:
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    sources = [source for c in containers for source in c.get("envFrom") or ()]
    return [source["secretRef"]["name"] for source in sources if "secretRef" in source]
