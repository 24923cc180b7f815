"""The Deployment controller: keeps as many pods as asked for and reports how many there are."""

import hashlib
import json
from datetime import datetime, timedelta

from modelway import kinds
from modelway.kinds import Manifest
from simulation.clock import Clock, parse, stamp
from simulation.selectors import is_ready
from simulation.store import REPLICA_SET, Store


class DeploymentController:
    """An actor. The pods of another template than the present one are replaced at once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._serial = 0
        self._read = 0
        self._refused = ""
        self.quota = ""
        """Message of the admission that refuses every new pod; "" when pods are taken."""

    def step(self) -> bool:
        """Reconcile every Deployment about which something changed."""
        due = self._changed()
        if self.quota != self._refused:
            due = {_place(deployment) for deployment in self._store.all(kinds.DEPLOYMENT)}
            self._refused = self.quota
        found = [self._store.find(kinds.DEPLOYMENT, *place) for place in sorted(due)]
        return True in [self._step(deployment) for deployment in found if deployment]

    def _changed(self) -> set[tuple[str, str]]:
        changes = self._store.journal[self._read :]
        self._read = len(self._store.journal)
        ends = {kinds.DEPLOYMENT: 0, REPLICA_SET: 1, kinds.POD: 2}
        found = [(_place(change.manifest), ends[change.kind]) for change in changes if change.kind in ends]
        return {(namespace, name.rsplit("-", cut)[0] if cut else name) for (namespace, name), cut in found}

    def next_due(self) -> datetime | None:
        """Nothing here waits for time."""
        return None

    def _step(self, deployment: Manifest) -> bool:
        replica_set, is_new = self._replica_set(deployment)
        old = [pod for pod in self._pods(deployment) if not _owned_by(pod, replica_set)]
        active = [pod for pod in self._pods(deployment) if _owned_by(pod, replica_set)]
        wanted = deployment["spec"]["replicas"]
        surplus = old + sorted(active, key=_worth)[: max(0, len(active) - wanted)]
        for pod in surplus:
            terminate(self._store, self._clock(), pod)
        missing = 0 if self.quota else max(0, wanted - len(active))
        for _ in range(missing):
            self._create_pod(deployment, replica_set)
        refused = self.quota if wanted > len(active) else ""
        reported = self._report(deployment, refused)
        return is_new or bool(surplus) or bool(missing) or reported

    def _replica_set(self, deployment: Manifest) -> tuple[Manifest, bool]:
        template = json.dumps(deployment["spec"]["template"], sort_keys=True)
        digest = hashlib.sha256(template.encode()).hexdigest()[:9]
        namespace, name = deployment["metadata"]["namespace"], f"{deployment['metadata']['name']}-{digest}"
        found = self._store.find(REPLICA_SET, namespace, name)
        if found:
            return found, False
        metadata = {"name": name, "namespace": namespace, "ownerReferences": [_owner(deployment, "Deployment")]}
        return self._store.insert(REPLICA_SET, {"metadata": metadata, "spec": {}}), True

    def _pods(self, deployment: Manifest) -> list[Manifest]:
        namespace = deployment["metadata"]["namespace"]
        sets = {
            item["metadata"]["uid"] for item in self._store.all(REPLICA_SET, namespace) if _owned_by(item, deployment)
        }
        return [
            pod
            for pod in self._store.all(kinds.POD, namespace)
            if "deletionTimestamp" not in pod["metadata"]
            and pod["status"].get("phase") != "Failed"
            and any(owner["uid"] in sets for owner in pod["metadata"].get("ownerReferences") or ())
        ]

    def _create_pod(self, deployment: Manifest, replica_set: Manifest) -> None:
        self._serial += 1
        template = deployment["spec"]["template"]
        name = replica_set["metadata"]["name"]
        metadata = {
            "name": f"{name}-{self._serial:05}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": {**template["metadata"]["labels"], "pod-template-hash": name.rsplit("-", 1)[1]},
            "annotations": template["metadata"].get("annotations") or {},
            "ownerReferences": [_owner(replica_set, "ReplicaSet")],
        }
        pod = {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}
        self._store.insert(kinds.POD, pod)

    def _report(self, deployment: Manifest, refused: str) -> bool:
        pods = self._pods(deployment)
        ready = sum(is_ready(pod) for pod in pods)
        wanted = deployment["spec"]["replicas"]
        counts = {
            "replicas": len(pods),
            "updatedReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
        }
        status: Manifest = {"observedGeneration": deployment["metadata"]["generation"]}
        status |= {key: count for key, count in counts.items() if count}
        holds = {"Available": ready >= max(0, wanted - wanted // 4), "Progressing": True}
        conditions = [self._condition(deployment, kind, value) for kind, value in holds.items()]
        if refused:
            failure = self._condition(deployment, "ReplicaFailure", True)
            conditions.append(failure | {"reason": "FailedCreate", "message": refused})
        after = self._store.replace(
            kinds.DEPLOYMENT, deployment, {**deployment, "status": {**status, "conditions": conditions}}
        )
        return after is not deployment

    def _condition(self, deployment: Manifest, kind: str, holds: bool) -> Manifest:
        status = "True" if holds else "False"
        before = (deployment.get("status") or {}).get("conditions") or ()
        old = next((item for item in before if item["type"] == kind), None)
        since = old["lastTransitionTime"] if old and old["status"] == status else stamp(self._clock())
        return {"type": kind, "status": status, "lastTransitionTime": since}


def terminate(store: Store, now: datetime, pod: Manifest) -> None:
    """Ask a pod to end within its grace period, as DELETE does."""
    if "deletionTimestamp" in pod["metadata"]:
        return
    grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    ending = {
        "deletionTimestamp": stamp(now + timedelta(seconds=grace)),
        "deletionGracePeriodSeconds": grace,
    }
    store.replace(kinds.POD, pod, {**pod, "metadata": {**pod["metadata"], **ending}})


def _place(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _owner(manifest: Manifest, kind: str) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": manifest["metadata"]["name"],
        "uid": manifest["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _owned_by(manifest: Manifest, owner: Manifest) -> bool:
    references = manifest["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in references)


def _worth(pod: Manifest) -> tuple[bool, float, str]:
    """The least worth ends first: not ready, then youngest."""
    return is_ready(pod), -parse(pod["metadata"]["creationTimestamp"]).timestamp(), pod["metadata"]["name"]
