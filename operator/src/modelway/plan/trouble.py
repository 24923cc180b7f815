"""What is wrong with a revision's pods, as one reason and one sentence. Pure.

The checks are ordered: the first that applies names the trouble. A verdict reason condemns the revision, an
environment reason is waited out (see `api.reasons`).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from modelway.api import reasons
from modelway.plan.observed import Container, Pod, Revision
from modelway.plan.quotes import quoted
from modelway.resources import gate
from modelway.resources.pod import MODEL_CONTAINER

CRASH_LIMIT = 3
OUT_OF_MEMORY_LIMIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A reason of the closed list, and the cause in words."""

    reason: str
    message: str
    subject: str = ""
    """Kind of the object that could not be written, where it is about one."""

    @property
    def is_verdict(self) -> bool:
        """Whether it condemns the revision, rather than the environment."""
        return _class(self.reason) is reasons.Class.VERDICT


def _class(name: str) -> reasons.Class | None:
    found = reasons.find(name)
    return found.category if found else None


def of_revision(revision: Revision) -> Trouble | None:
    """The worst trouble of a revision: verdicts before environment, else the first pod's."""
    refused = _pods_refused(revision)
    found = [trouble for pod in revision.pods if (trouble := of_pod(pod))]
    found += [refused] if refused else []
    return next((trouble for trouble in found if trouble.is_verdict), found[0] if found else None)


def of_pod(pod: Pod) -> Trouble | None:
    """Why this pod does not become ready; None when nothing is known to be wrong."""
    if pod.is_terminating:
        return None
    if pod.unschedulable:
        return _trouble("Unschedulable", pod, pod.unschedulable)
    for container in pod.containers:
        for check in CHECKS:
            trouble = check(pod, container)
            if trouble:
                return trouble
    return None


def _trouble(reason: str, pod: Pod, message: str) -> Trouble:
    return Trouble(
        reason=reason, message=quoted(f"Pod {pod.name}: {message}" if message.strip() else f"Pod {pod.name}")
    )


BIRTH = timedelta(seconds=2)
"""How long after its creation the kubelet first says of a pod that it is not ready."""
FLIP = timedelta(seconds=10)
"""How long after the end of its container the kubelet may say that a pod ceased to be ready."""


def unhealthy(revision: Revision) -> Trouble | None:
    """A container that had been ready ended; about pods that are deleted, evicted or lost it says nothing."""
    for pod in revision.pods:
        for container in pod.containers:
            if not pod.is_terminating and container.name == MODEL_CONTAINER and _ended_in_service(pod, container):
                assert container.ended is not None
                cause = container.ended.message or container.ended.reason
                text = f"{container.name} was ready and ended with exit code {container.ended.exit_code}: {cause}"
                return _trouble("CandidateUnhealthy", pod, text)
    return None


def _ended_in_service(pod: Pod, container: Container) -> bool:
    """Whether the pod ceased to be ready in that run of its container; one that fails before it is ready never was.

    It may have ceased long before the end: one that hangs is ended by its liveness probe only a minute later, and one
    that ends by itself drains first.
    """
    ended, changed, created = container.ended, pod.ready_changed_at, pod.created_at
    if pod.is_ready or ended is None or changed is None or created is None:
        return False
    if ended.started_at is None or ended.at is None:
        return False
    is_lost = ended.exit_code == _UNKNOWN_CODE and ended.reason in _UNKNOWN_REASONS
    return not is_lost and ended.started_at < changed <= ended.at + FLIP and changed > created + BIRTH


_KILLED = 137
"""What a container ends with that was sent SIGKILL: for want of memory, or because its patience was over."""
_UNKNOWN_CODE = 255
_UNKNOWN_REASONS = ("Unknown", "ContainerStatusUnknown")
"""What the kubelet writes where it lost a container, as after a restart of its node."""

IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}


def image_pull_failed(pod: Pod, container: Container) -> Trouble | None:
    """The kubelet cannot get the image."""
    if container.waiting_reason not in IMAGE_REASONS:
        return None
    return _trouble("ImagePullFailed", pod, container.waiting_message or container.waiting_reason)


_MISSING = re.compile(r"(?i)(secret|configmap) \S+ not found|couldn't find key .+ in (secret|configmap) ")


def secret_not_found(pod: Pod, container: Container) -> Trouble | None:
    """A Secret or ConfigMap (or a key of it) that the container's environment names is absent."""
    if container.waiting_reason not in ("CreateContainerConfigError", "CreateContainerError"):
        return None
    reason = "SecretNotFound" if _MISSING.search(container.waiting_message) else "PodRejected"
    return _trouble(reason, pod, container.waiting_message)


def out_of_memory(pod: Pod, container: Container) -> Trouble | None:
    """The kernel killed the container twice for using more memory than its limit."""
    if container.ended is None or container.ended.reason != "OOMKilled" or container.is_up:
        return None
    kills = container.restarts + (not container.is_running)
    if kills < OUT_OF_MEMORY_LIMIT:
        return None
    limit = "the memory limit of its container is too low for this model"
    return _trouble("OutOfMemory", pod, f"{container.name} was killed {kills} times: {limit}")


def reported(pod: Pod, container: Container) -> Trouble | None:
    """The container ended with a termination message that names a reason of ours.

    The server leaves one for the case that a library crashes while it loads the model; one that was killed meanwhile
    leaves it, too, and has not crashed.
    """
    if container.ended is None or container.ended.exit_code in (0, _KILLED) or container.is_up:
        return None
    reason, message = termination(container.ended.message)
    return _trouble(reason, pod, message) if reason else None


def silent_fetch(pod: Pod, container: Container) -> Trouble | None:
    """`fetch` ended without a reason of ours: it is tried again, so it is not about the revision."""
    if not container.is_init or container.name == gate.CONTAINER or container.is_up:
        return None
    if container.ended is None or container.ended.exit_code == 0:
        return None
    if container.ended.reason == "OOMKilled":
        return None
    text = container.ended.message or f"exit code {container.ended.exit_code}"
    return _trouble("DownloadTimeout", pod, f"{container.name} ended: {text}")


def crash_loop(pod: Pod, container: Container) -> Trouble | None:
    """The container ended three times before it was ready, without saying why."""
    ends = container.restarts + (not container.is_running)
    if container.is_up or ends < CRASH_LIMIT or container.ended is None:
        return None
    text = container.ended.message or container.ended.reason
    return _trouble(
        "CrashLoop",
        pod,
        f"{container.name} ended {ends} times, last with exit code {container.ended.exit_code}: {text}",
    )


CHECKS: tuple[Callable[[Pod, Container], Trouble | None], ...] = (
    image_pull_failed,
    secret_not_found,
    out_of_memory,
    reported,
    silent_fetch,
    crash_loop,
)


def _pods_refused(revision: Revision) -> Trouble | None:
    """The API server refuses to create the pods: quota, or an admission policy."""
    message = revision.workload.pods_refused if revision.workload else ""
    if not message:
        return None
    reason = "QuotaExceeded" if "exceeded quota" in message else "PodRejected"
    return Trouble(reason=reason, message=quoted(message))


_REPORTABLE = (reasons.Class.VERDICT, reasons.Class.ENVIRONMENT)
_OURS_TO_SAY = {"UserAbort", "AnalysisFailed", "CandidateUnhealthy"}
"""Verdicts about a container, which it cannot pass on itself."""


def termination(text: str) -> tuple[str, str]:
    """Reason and message of a termination message; empty where it is not one of ours."""
    found = _object(text.strip().rpartition("\n")[2])
    reason = str(found.get("reason", ""))
    if _class(reason) not in _REPORTABLE or reason in _OURS_TO_SAY:
        return "", ""
    return reason, str(found.get("message", ""))


def _object(text: str) -> Mapping[str, Any]:
    """The JSON object in what a container wrote; an empty one for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def fetched_digest(pod: Pod) -> str:
    """The digest that the pod's `fetch` reported; empty until it did."""
    for container in pod.containers:
        if container.is_init and container.name == "fetch" and container.ended and container.ended.exit_code == 0:
            digest = str(_object(container.ended.message).get("digest", ""))
            return digest if _DIGEST.fullmatch(digest) else ""
    return ""
