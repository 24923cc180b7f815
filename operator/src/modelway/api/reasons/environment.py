"""Reasons about the surroundings: nothing is given up, and it heals by itself. Pure."""

from typing import Final

from modelway.api.reasons.reason import Class, Reason


def _(name: str, meaning: str, next_step: str) -> Reason:
    return Reason(name=name, category=Class.ENVIRONMENT, meaning=meaning, next_step=next_step)


IMAGE_PULL_FAILED: Final = _(
    "ImagePullFailed",
    "The node cannot pull the image.",
    "Check the image name in the message, the registry, and the pull secret of the ServiceAccount.",
)
ARTIFACT_NOT_FOUND: Final = _(
    "ArtifactNotFound",
    "There is nothing at `spec.model.uri`.",
    "List the URI with the same credentials; correct it or upload the model. The next try is automatic.",
)
CREDENTIALS_DENIED: Final = _(
    "CredentialsDenied",
    "The storage refused the credentials.",
    "Check the keys in the Secret of `credentials.secretRef` and the bucket's policy.",
)
SECRET_NOT_FOUND: Final = _(
    "SecretNotFound",
    "A Secret or ConfigMap that the pod names does not exist, or lacks the key.",
    "Create the object named in the message in the namespace of the ModelDeployment, or correct the name.",
)
VOLUME_MOUNT_FAILED: Final = _(
    "VolumeMountFailed",
    "A volume of the pod cannot be mounted.",
    "Check that the claim of the `pvc://` URI exists and is bound, and that its access mode fits the nodes.",
)
DOWNLOAD_TIMEOUT: Final = _(
    "DownloadTimeout",
    "The model could not be fetched in time, or the storage did not answer.",
    "Check the storage's address, its network policy and load; a large model may need a longer `progressDeadline`.",
)
DISK_FULL: Final = _(
    "DiskFull",
    "The volume that the model is fetched into is full.",
    "Free space on the node, or give the pod a larger volume in `runtime.template`.",
)
UNSCHEDULABLE: Final = _(
    "Unschedulable",
    "No node has room for the pod.",
    "Lower `runtime.resources.requests`, add nodes, correct the node selector and tolerations in "
    "`runtime.template`, or let stable make room with `rollout.capacityFallback: Replace`.",
)
QUOTA_EXCEEDED: Final = _(
    "QuotaExceeded",
    "The namespace's quota leaves no room for the pod.",
    "Raise the ResourceQuota named in the message, or lower `replicas`, `rollout.maxSurge` or the requests.",
)
POD_REJECTED: Final = _(
    "PodRejected",
    "An admission policy or webhook refused the pod.",
    "Read the refusal in the message; adapt `runtime.template`, or ask whoever runs the policy.",
)
