"""Why a model cannot be fetched or served: the words that the operator reads in the termination message. Pure."""

from enum import StrEnum


class Reason(StrEnum):
    """The closed list of reasons; the operator gives each its class."""

    COMPLETED = "Completed"
    ARTIFACT_NOT_FOUND = "ArtifactNotFound"
    ARTIFACT_TOO_LARGE = "ArtifactTooLarge"
    CREDENTIALS_DENIED = "CredentialsDenied"
    DIGEST_MISMATCH = "DigestMismatch"
    DISK_FULL = "DiskFull"
    DOWNLOAD_TIMEOUT = "DownloadTimeout"
    ENVIRONMENT_MISMATCH = "EnvironmentMismatch"
    FORMAT_MISMATCH = "FormatMismatch"
    GOLDEN_REQUEST_FAILED = "GoldenRequestFailed"
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    SIGNATURE_INVALID = "SignatureInvalid"
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    UNTRUSTED_FORMAT = "UntrustedFormat"
    WARMUP_FAILED = "WarmupFailed"


class Failure(Exception):
    """Ends the process with a reason and a sentence for the person on call."""

    def __init__(self, reason: Reason | str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class UsageError(Exception):
    """A setting or an argument that makes no sense; the message says what to write instead."""
