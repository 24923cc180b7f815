"""The closed list of reasons."""

import pytest

from modelway.api import reasons
from modelway.api.reasons import Class, Reason

DESIGN = {
    Class.VERDICT: "DigestMismatch SignatureInvalid UntrustedFormat UnsupportedFormat FormatMismatch "
    "EnvironmentMismatch ArtifactTooLarge ModelLoadFailed WarmupFailed GoldenRequestFailed OutOfMemory "
    "CrashLoop CandidateUnhealthy AnalysisFailed UserAbort",
    Class.ENVIRONMENT: "ImagePullFailed ArtifactNotFound CredentialsDenied SecretNotFound "
    "VolumeMountFailed DownloadTimeout DiskFull Unschedulable QuotaExceeded PodRejected",
    Class.BLOCKED: "InvalidSpec RuntimeNotFound Conflict WaitingForDeletion RBACDenied WriteDenied "
    "WeightNotReachable FeatureNotSupported RouteNotAccepted RefsNotResolved RouteNotProgrammed",
}


@pytest.mark.parametrize("category", DESIGN)
def test_each_class_holds_the_reasons_of_the_design_and_no_others(category: Class) -> None:
    assert [reason.name for reason in reasons.of_class(category)] == DESIGN[category].split()


def test_every_reason_has_a_name_of_its_own_and_is_found_by_it() -> None:
    assert all(reasons.find(reason.name) is reason for reason in reasons.ALL)
    assert reasons.find("Whatever") is None


@pytest.mark.parametrize("reason", reasons.ALL, ids=str)
def test_every_reason_says_in_sentences_what_it_means_and_what_to_do(reason: Reason) -> None:
    for sentence in (reason.meaning, reason.next_step):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence.startswith("`")


@pytest.mark.parametrize("reason", reasons.ALL, ids=str)
def test_every_reason_has_a_section_in_the_reference(reason: Reason) -> None:
    headings = [
        line.removeprefix("### ").lower() for line in reasons.markdown().splitlines() if line.startswith("### ")
    ]
    assert headings.count(reason.anchor) == 1
