"""What pods say against themselves: container statuses as a kubelet writes them, and the reason made of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api import reasons
from modelway.kinds import Manifest
from modelway.observe import _pod as observed_pod
from modelway.observe import _workload as observed_workload
from modelway.plan import trouble
from modelway.plan.observed import Revision

DIGEST = "sha256:" + 64 * "0"
STARTED = {"startedAt": "2026-11-21T10:00:00Z"}


def terminated(message: str = "", *, code: int = 1, reason: str = "Error") -> Manifest:
    """A container's end."""
    ended = {"exitCode": code, "reason": reason, **STARTED, "finishedAt": "2026-11-21T10:00:01Z"}
    return {"terminated": ended | ({"message": message} if message else {})}


def said(reason: str, message: str = "why", **more: Any) -> str:
    """A termination message of ours."""
    return json.dumps({"reason": reason, "message": message, "digest": "", "bytes": 0} | more)


def back_off(name: str) -> Manifest:
    """What a kubelet shows between two starts."""
    return {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": f"back-off 10s restarting failed container={name} pod=fraud-1_payments(0123)",
        }
    }


def container(name: str, state: Manifest, *, last: Manifest | None = None, restarts: int = 0, **more: Any) -> Manifest:
    """One entry of containerStatuses."""
    return {
        "name": name,
        "image": "example.com/runtime:1",
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
        **more,
    }


FETCHED = container(
    "fetch", terminated(said("", "done", digest=DIGEST), code=0, reason="Completed"), ready=True, started=False
)
BLOCKED = container("model", {"waiting": {"reason": "PodInitializing"}})


def pod(*, fetch: Manifest = FETCHED, model: Manifest = BLOCKED, **more: Any) -> Manifest:
    """A pod that the scheduler has placed."""
    return {
        "metadata": {"name": "fraud-1", "namespace": "payments", "labels": {}},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "initContainerStatuses": [fetch],
            "containerStatuses": [model],
        }
        | more,
    }


def reason_of(manifest: Manifest) -> str:
    """The trouble's reason, empty for none."""
    found = trouble.of_pod(observed_pod(manifest))
    return found.reason if found else ""


def message_of(manifest: Manifest) -> str:
    """The trouble's message."""
    found = trouble.of_pod(observed_pod(manifest))
    return found.message if found else ""


def three_ways(name: str, message: str) -> dict[str, Manifest]:
    """A container that failed, as it is shown just after, while it waits, and while it runs again."""
    return {
        "terminated": container(name, terminated(message)),
        "waiting": container(name, back_off(name), last=terminated(message), restarts=1),
        "running": container(name, {"running": STARTED}, last=terminated(message), restarts=1),
    }


FETCH_REASONS = (
    "ArtifactNotFound",
    "CredentialsDenied",
    "DownloadTimeout",
    "DiskFull",
    "DigestMismatch",
    "ArtifactTooLarge",
    "UntrustedFormat",
    "FormatMismatch",
)
SERVER_REASONS = (
    "ModelLoadFailed",
    "FormatMismatch",
    "UntrustedFormat",
    "UnsupportedFormat",
    "DigestMismatch",
    "WarmupFailed",
    "GoldenRequestFailed",
)
REPORTED = [
    pytest.param(pod(**{where: status}), reason, id=f"{where}-{reason}-{moment}")
    for where, names in (("fetch", FETCH_REASONS), ("model", SERVER_REASONS))
    for reason in names
    for moment, status in three_ways(where, said(reason)).items()
]


@pytest.mark.parametrize(("manifest", "reason"), REPORTED)
def test_34_a_reason_in_the_termination_message_is_taken_over(manifest: Manifest, reason: str) -> None:
    assert reason_of(manifest) == reason
    assert message_of(manifest) == "Pod fraud-1: why"


def waiting(where: str, reason: str, message: str) -> Manifest:
    """A pod with a container that cannot be started."""
    return pod(**{where: container(where, {"waiting": {"reason": reason, "message": message}})})


PULL = 'Back-off pulling image "example.com/x:1": ErrImagePull: not found'
KUBELET: list[Any] = [
    pytest.param(waiting("fetch", "ErrImagePull", "manifest unknown"), "ImagePullFailed", id="pull"),
    pytest.param(waiting("fetch", "ImagePullBackOff", PULL), "ImagePullFailed", id="pull-back-off"),
    pytest.param(waiting("model", "InvalidImageName", "couldn't parse image"), "ImagePullFailed", id="image-name"),
    pytest.param(waiting("model", "ErrImageNeverPull", "never"), "ImagePullFailed", id="image-never-pulled"),
    pytest.param(waiting("model", "ImageInspectError", "bad"), "ImagePullFailed", id="image-inspect"),
    pytest.param(waiting("model", "RegistryUnavailable", "503"), "ImagePullFailed", id="registry"),
    pytest.param(
        waiting("fetch", "CreateContainerConfigError", 'secret "s3-reader" not found'), "SecretNotFound", id="secret"
    ),
    pytest.param(
        waiting("model", "CreateContainerConfigError", "couldn't find key token in Secret payments/api"),
        "SecretNotFound",
        id="key-of-a-secret",
    ),
    pytest.param(
        waiting("model", "CreateContainerConfigError", 'configmap "levels" not found'),
        "SecretNotFound",
        id="config-map",
    ),
    pytest.param(
        waiting("model", "CreateContainerConfigError", "couldn't find key level in ConfigMap payments/levels"),
        "SecretNotFound",
        id="key-of-a-config-map",
    ),
    pytest.param(
        waiting(
            "model",
            "CreateContainerConfigError",
            "container has runAsNonRoot and image will run as root (pod: secret-fraud-1_payments, container: model)",
        ),
        "PodRejected",
        id="root",
    ),
    pytest.param(
        waiting("model", "CreateContainerError", "failed to create containerd task: no such file"),
        "PodRejected",
        id="container-cannot-be-made",
    ),
    pytest.param(waiting("fetch", "PodInitializing", ""), "", id="initializing"),
    pytest.param(waiting("model", "ContainerCreating", ""), "", id="creating"),
    pytest.param(
        pod(
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available: 1 Insufficient cpu.",
                }
            ],
            initContainerStatuses=[],
            containerStatuses=[],
        ),
        "Unschedulable",
        id="no-room",
    ),
    pytest.param(
        pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
        "",
        id="gated",
    ),
    pytest.param(pod(model=container("model", terminated(code=137, reason="OOMKilled"))), "", id="out-of-memory-once"),
    pytest.param(
        pod(model=container("model", terminated(said("ModelLoadFailed"), code=137, reason="OOMKilled"))),
        "",
        id="out-of-memory-while-loading",
    ),
    pytest.param(
        pod(model=container("model", terminated(said("ModelLoadFailed"), code=139))),
        "ModelLoadFailed",
        id="a-library-that-crashes",
    ),
    pytest.param(
        pod(model=container("model", {"running": STARTED}, last=terminated(code=137, reason="OOMKilled"), restarts=1)),
        "",
        id="out-of-memory-once-and-running",
    ),
    pytest.param(
        pod(model=container("model", terminated(code=137, reason="OOMKilled"), restarts=1)),
        "OutOfMemory",
        id="out-of-memory-twice",
    ),
    pytest.param(
        pod(model=container("model", back_off("model"), last=terminated(code=137, reason="OOMKilled"), restarts=1)),
        "OutOfMemory",
        id="out-of-memory-twice-and-waiting",
    ),
    pytest.param(
        pod(fetch=container("fetch", back_off("fetch"), last=terminated(code=137, reason="OOMKilled"), restarts=1)),
        "OutOfMemory",
        id="fetch-out-of-memory-twice",
    ),
    pytest.param(pod(model=container("model", back_off("model"), last=terminated("x"), restarts=1)), "", id="two-ends"),
    pytest.param(
        pod(model=container("model", back_off("model"), last=terminated("x"), restarts=2)), "CrashLoop", id="three-ends"
    ),
    pytest.param(
        pod(model=container("model", back_off("model"), last=terminated(code=0, reason="Completed"), restarts=3)),
        "CrashLoop",
        id="ends-well-again-and-again",
    ),
    pytest.param(
        pod(model=container("model", {"running": STARTED}, last=terminated("x"), restarts=9, ready=True)),
        "",
        id="ready-after-all",
    ),
    pytest.param(
        pod(model=container("model", {"running": STARTED}, last=terminated(said("ModelLoadFailed")), ready=True)),
        "",
        id="loaded-after-all",
    ),
    pytest.param(
        pod(fetch=container("fetch", terminated("Traceback …"))), "DownloadTimeout", id="fetch-without-a-reason"
    ),
    pytest.param(pod(fetch=container("fetch", terminated())), "DownloadTimeout", id="fetch-without-a-word"),
    pytest.param(
        pod(
            fetch=FETCHED | {"lastState": terminated(said("ArtifactNotFound")), "restartCount": 4},
            model=container("model", {"running": STARTED}),
        ),
        "",
        id="fetched-after-all",
    ),
]


@pytest.mark.parametrize(("manifest", "reason"), KUBELET)
def test_34_what_a_kubelet_or_scheduler_says_has_a_reason(manifest: Manifest, reason: str) -> None:
    assert reason_of(manifest) == reason


def test_a_pod_that_ends_is_in_no_trouble() -> None:
    manifest = pod(model=container("model", terminated(said("ModelLoadFailed"))))
    manifest["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert reason_of(manifest) == ""


def test_a_pod_without_status_is_in_no_trouble() -> None:
    assert reason_of({"metadata": {"name": "fraud-1"}}) == ""


NOT_OURS: list[Any] = [
    pytest.param("", id="empty"),
    pytest.param("Killed", id="words"),
    pytest.param("null", id="null"),
    pytest.param("[1]", id="list"),
    pytest.param('"ModelLoadFailed"', id="text"),
    pytest.param("{", id="cut"),
    pytest.param('{"message": "no reason"}', id="no-reason"),
    pytest.param('{"reason": null}', id="reason-null"),
    pytest.param('{"reason": 7}', id="reason-number"),
    pytest.param('{"reason": {"reason": "ModelLoadFailed"}}', id="reason-nested"),
    pytest.param('{"reason": ["ModelLoadFailed"]}', id="reason-list"),
    pytest.param('{"reason": "MadeUp"}', id="reason-unknown"),
    pytest.param('{"reason": "RevisionPromoted"}', id="reason-of-a-state"),
    pytest.param('{"reason": "InvalidSpec"}', id="reason-of-the-set-up"),
    pytest.param('{"reason": "UserAbort"}', id="reason-of-a-person"),
    pytest.param('{"reason": "AnalysisFailed"}', id="reason-of-an-analysis"),
    pytest.param("[" * 4096, id="deep-list"),
    pytest.param('{"a":' * 700, id="deep-map"),
    pytest.param("9" * 4096, id="long-number"),
]


@pytest.mark.parametrize("text", NOT_OURS)
def test_a_termination_message_that_is_not_ours_names_no_reason(text: str) -> None:
    assert trouble.termination(text) == ("", "")
    crashing = pod(model=container("model", back_off("model"), last=terminated(text), restarts=3))
    assert reason_of(crashing) == "CrashLoop"
    assert reason_of(pod(fetch=container("fetch", terminated(text)))) == "DownloadTimeout"


GATES: list[Any] = [
    pytest.param(terminated(said("GoldenRequestFailed")), 1, "GoldenRequestFailed", id="wrong"),
    pytest.param(terminated(said("InvalidSettings"), code=2), 1, "", id="once"),
    pytest.param(terminated(said("InvalidSettings"), code=2), 3, "CrashLoop", id="again-and-again"),
    pytest.param(terminated(said("Completed"), code=0), 1, "", id="told-to"),
]


@pytest.mark.parametrize(("end", "restarts", "reason"), GATES)
def test_34_a_gate_fails_as_a_server_does_and_not_as_fetch(end: Manifest, restarts: int, reason: str) -> None:
    gate = container("gate", back_off("gate"), last=end, restarts=restarts)
    serving = container("model", {"running": STARTED}, started=True)
    assert reason_of(pod(initContainerStatuses=[FETCHED, gate], model=serving)) == reason


def test_the_last_line_of_a_log_is_the_message() -> None:
    assert trouble.termination("loading\n" + said("ModelLoadFailed", "bad")) == ("ModelLoadFailed", "bad")


SECRETS: list[Any] = [
    pytest.param("GET https://anna:hunter2@host/model", "hunter2", id="user-of-a-url"),
    pytest.param("AWS_SECRET_ACCESS_KEY=hunter2/abc+d", "hunter2", id="environment"),
    pytest.param('{"aws_session_token": "hunter2"}', "hunter2", id="json"),
    pytest.param("password: hunter2", "hunter2", id="yaml"),
    pytest.param("DB_PASSWORD = 'hunter2'", "hunter2", id="quoted"),
    pytest.param("GET /m?X-Amz-Signature=hunter2&a=b", "hunter2", id="signed-url"),
    pytest.param("GET /m?X-Amz-Credential=hunter2%2F20261121", "hunter2", id="credential-of-a-signed-url"),
    pytest.param("https://host/c/m?sv=2024&sig=hunter2%3D", "hunter2", id="shared-access-signature"),
    pytest.param("Authorization: Bearer hunter2.hunter2", "hunter2", id="bearer"),
    pytest.param("authorization: Basic aHVudGVyMg==", "aHVudGVyMg", id="basic"),
    pytest.param("key AKIAIOSFODNN7EXAMPLE denied", "AKIAIOSFODNN7EXAMPLE", id="access-key"),
    pytest.param("AccountKey=hunter2==;Endpoint=x", "hunter2", id="connection-string"),
    pytest.param("api_key=hunter2", "hunter2", id="api-key"),
    pytest.param(
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\nhunter2\n-----END RSA PRIVATE KEY-----", "hunter2", id="private-key"
    ),
    pytest.param("-----BEGIN PRIVATE KEY-----\nhunter2", "hunter2", id="private-key-cut-off"),
]


@pytest.mark.parametrize("where", ["fetch", "model"])
@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_no_secret_is_quoted(text: str, secret: str, where: str) -> None:
    for message in (text, said("ModelLoadFailed", text)):
        manifest = pod(**{where: container(where, back_off(where), last=terminated(message), restarts=3)})
        assert reason_of(manifest)
        assert secret not in message_of(manifest)


KEPT: list[Any] = [
    pytest.param('secret "s3-reader" not found', id="name-of-a-secret"),
    pytest.param("couldn't find key token in Secret payments/api", id="key-of-a-secret"),
    pytest.param("tokenizer: model.json is missing", id="tokenizer"),
    pytest.param("label is 2, expected 0", id="golden-request"),
    pytest.param("s3://models/fraud/2: no such key: fraud/2", id="uri"),
    pytest.param(f"got {DIGEST}", id="digest"),
]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_quoted_whole(text: str) -> None:
    manifest = waiting("model", "CreateContainerConfigError", text)
    assert message_of(manifest) == f"Pod fraud-1: {text}"


HOSTILE: list[Any] = [
    pytest.param("\ud800\udfff lone", id="lone-surrogates"),
    pytest.param("\x1b[31mred\x07\x00", id="control-characters"),
    pytest.param("one\r\ntwo\u2028three\x85four", id="line-breaks"),
    pytest.param("\u202eevil\u202c\u200b", id="direction-overrides"),
    pytest.param("😀" * 2000, id="long-and-wide"),
    pytest.param("e\u0301" * 2000, id="combining"),
    pytest.param("a" * 100_000, id="huge"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_one_short_printable_line(text: str) -> None:
    message = message_of(pod(model=container("model", terminated(said("ModelLoadFailed", text)))))
    assert len(message.encode()) <= 512
    assert message.isprintable()
    assert "  " not in message


@given(st.text(alphabet=st.characters(codec=None)) | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_termination_message_is_survived(text: str) -> None:
    for where in ("fetch", "model"):
        manifest = pod(**{where: container(where, back_off(where), last=terminated(text), restarts=3)})
        assert reasons.find(reason_of(manifest))
        assert len(message_of(manifest).encode()) <= 512


DIGESTS: list[Any] = [
    pytest.param(said("", digest=DIGEST), DIGEST, id="ours"),
    pytest.param(said("Completed", digest=DIGEST), DIGEST, id="completed"),
    pytest.param(said("", digest=""), "", id="none"),
    pytest.param(said("", digest="sha256:abc"), "", id="short"),
    pytest.param(said("", digest=DIGEST + "0"), "", id="long"),
    pytest.param(said("", digest=DIGEST.upper()), "", id="capitals"),
    pytest.param(said("", digest={"a": 1}), "", id="map"),
    pytest.param(said("", digest="x" * 3000), "", id="huge"),
    pytest.param("", "", id="silent"),
    pytest.param("[" * 4096, "", id="deep"),
]


@pytest.mark.parametrize(("message", "digest"), DIGESTS)
def test_only_a_digest_is_taken_as_the_digest(message: str, digest: str) -> None:
    fetch = container("fetch", terminated(message, code=0, reason="Completed"), ready=True)
    assert trouble.fetched_digest(observed_pod(pod(fetch=fetch))) == digest


@pytest.mark.parametrize("name", ["init", "model"])
def test_another_container_reports_no_digest(name: str) -> None:
    other = container(name, terminated(said("", digest=DIGEST), code=0), ready=True)
    assert trouble.fetched_digest(observed_pod(pod(fetch=other))) == ""


def revision(*pods: Manifest, refused: str = "") -> Revision:
    """A revision with these pods."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
    deployment = {
        "metadata": {"name": "fraud-1", "resourceVersion": "1"},
        "spec": {"replicas": 2},
        "status": {"conditions": [condition] if refused else []},
    }
    return Revision(
        name="fraud-1",
        hash="1",
        number=1,
        manifest={},
        outcome="",
        reason="",
        role="",
        workload=observed_workload(deployment),
        pods=tuple(observed_pod(item) for item in pods),
    )


QUOTA = 'pods "fraud-1-x" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4, limited: cpu=4'
WEBHOOK = 'admission webhook "validate.example.com" denied the request: no'
SECURITY = 'pods "fraud-1-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
REFUSALS = [
    pytest.param(QUOTA, "QuotaExceeded", id="quota"),
    pytest.param(WEBHOOK, "PodRejected", id="webhook"),
    pytest.param(SECURITY, "PodRejected", id="pod-security"),
]


@pytest.mark.parametrize(("message", "reason"), REFUSALS)
def test_34_pods_that_may_not_be_created_have_a_reason(message: str, reason: str) -> None:
    found = trouble.of_revision(revision(refused=message))
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


UNSCHEDULED = pod(
    conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}]
)
BROKEN = pod(model=container("model", terminated(said("ModelLoadFailed"))))


def test_34_a_verdict_comes_before_what_heals_by_itself() -> None:
    for pods in ((UNSCHEDULED, BROKEN), (BROKEN, UNSCHEDULED)):
        found = trouble.of_revision(revision(*pods, refused=QUOTA))
        assert found is not None
        assert found.reason == "ModelLoadFailed"


def test_a_revision_without_pods_is_in_no_trouble() -> None:
    assert trouble.of_revision(revision()) is None
