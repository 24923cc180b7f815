"""What is wrong when a soak is over: nothing should be."""

import time
from collections.abc import Iterator

from benchmarks.keeper import Keeper
from faults.proxy import Proxy
from modelway import names
from modelway.kinds import Manifest
from played.stage import CHILDREN, Stage

_PAUSE_SECONDS = 1.5
_PATIENCE_SECONDS = 600.0
_DRAIN_SECONDS = 60.0
_QUIET_SECONDS = 30.0


def unsettled(here: Stage, keeper: Keeper, models: int, version: str) -> list[str]:
    """Models that do not serve the last version, after much patience."""
    end, wrong = time.monotonic() + _PATIENCE_SECONDS, ["nothing was looked at"]
    while wrong and time.monotonic() < end:
        keeper.look()
        time.sleep(_PAUSE_SECONDS)
        found = here.get("modeldeployments")
        wrong = [f"{len(found)} of {models} models are there"] * (len(found) != models)
        for item in found:
            status = item.get("status") or {}
            stable = (status.get("stableRevision") or {}).get("version")
            if (status.get("phase"), stable) != ("Healthy", version):
                wrong.append(
                    f"{item['metadata']['name']} is {status.get('phase')} with {stable}: {status.get('message')}"
                )
    return wrong


def left_over(here: Stage) -> list[str]:
    """Children of nobody who lives, and pods of revisions that do not serve, when all had time to drain and go."""
    end = time.monotonic() + _DRAIN_SECONDS
    while (wrong := _left_now(here)) and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    return wrong


def _left_now(here: Stage) -> list[str]:
    models = {item["metadata"]["uid"]: item for item in here.get("modeldeployments")}
    stable = {item["status"]["stableRevision"]["name"] for item in models.values() if item.get("status")}
    wrong = []
    for kind in CHILDREN:
        for item in here.get(kind, f"--selector={names.CHILD_SELECTOR}"):
            wrong += [
                f"{kind} {item['metadata']['name']}: {why}" for why in _faults_of(kind, item, set(models), stable)
            ]
    return wrong


def _faults_of(kind: str, item: Manifest, models: set[str], stable: set[str]) -> Iterator[str]:
    owners = {owner["uid"] for owner in item["metadata"].get("ownerReferences") or ()}
    if kind != "pods" and not owners & models:
        yield "nobody owns it"
    if kind == "deployments" and item["spec"]["replicas"] and item["metadata"]["name"] not in stable:
        yield f"has {item['spec']['replicas']} pods and does not serve"


def noisy(failing: Proxy) -> list[str]:
    """Writes after everything was as it should be."""
    time.sleep(_QUIET_SECONDS)
    since = time.monotonic()
    time.sleep(_QUIET_SECONDS)
    calls = [entry.call for entry in failing.journal.since(since)]
    unwanted = [call for call in calls if call.is_write and call.resource != "leases"]
    return [f"{call.method} {call.path} though nothing was to do" for call in unwanted]
