"""Verdicts: reasons about the revision itself. It is released and remembered. Pure."""

from typing import Final

from modelway.api.reasons.reason import Class, Reason


def _(name: str, meaning: str, next_step: str) -> Reason:
    return Reason(name=name, category=Class.VERDICT, meaning=meaning, next_step=next_step)


DIGEST_MISMATCH: Final = _(
    "DigestMismatch",
    "The bytes fetched are not those of `spec.model.digest`, or not those that the revision's first pod fetched.",
    "Find out who changed the files behind the URI; put the old ones back, or write the new digest or a new URI.",
)
SIGNATURE_INVALID: Final = _(
    "SignatureInvalid",
    "The model's signature is missing, was made by somebody else than `spec.model.signature`, or over other files.",
    "Have the model signed again by its owner; do not lower the trust before you know why.",
)
UNTRUSTED_FORMAT: Final = _(
    "UntrustedFormat",
    "The model holds a format that can run code, such as a pickle, and `trust` is `Safe`.",
    "Save the model in a safe format such as ONNX or skops, which `modelway-runtime convert` does on your machine, or "
    "write `trust: Any` if you would run code of its author.",
)
UNSUPPORTED_FORMAT: Final = _(
    "UnsupportedFormat",
    "The runtime cannot load this format, or not this version or operator of it.",
    "Read the message for what is missing; export the model for the runtime, or name another runtime in `runtime.ref`.",
)
FORMAT_MISMATCH: Final = _(
    "FormatMismatch",
    "The files are not of the format in `spec.model.format`.",
    "Compare `spec.model.format` and the file names that the message lists with what was uploaded.",
)
ENVIRONMENT_MISMATCH: Final = _(
    "EnvironmentMismatch",
    "The model was saved with versions of libraries that the runtime does not have.",
    "Save the model again with the runtime's versions, or use an image that has the model's: `modelway-runtime pack "
    "PATH --requirements FILE` writes its Dockerfile.",
)
ARTIFACT_TOO_LARGE: Final = _(
    "ArtifactTooLarge",
    "The model is larger than the place it is fetched into.",
    "Check that the URI names one model and not a whole bucket; else raise the volume's size in `runtime.template`.",
)
MODEL_LOAD_FAILED: Final = _(
    "ModelLoadFailed",
    "The runtime read the files and could not load the model from them; often the upload was cut short.",
    "Try `modelway-runtime check PATH` with the same files; upload them again and write a new version.",
)
WARMUP_FAILED: Final = _(
    "WarmupFailed",
    "The model loaded and failed on its warm-up requests.",
    "Ask the model's author to run it on the inputs in the message; fix it and write a new version.",
)
GOLDEN_REQUEST_FAILED: Final = _(
    "GoldenRequestFailed",
    "The model answered a golden request with something else than expected.",
    "Compare the answer in the message with the expectation; if the model is right, correct "
    "`spec.validation` and retry.",
)
OUT_OF_MEMORY: Final = _(
    "OutOfMemory",
    "The container was killed twice for using more memory than its limit.",
    "Raise `runtime.resources.limits.memory`; a model needs a multiple of its file size.",
)
CRASH_LOOP: Final = _(
    "CrashLoop",
    "The container ended three times before it was ready and did not say why.",
    "Read `kubectl logs --previous` of the pod in the message.",
)
CANDIDATE_UNHEALTHY: Final = _(
    "CandidateUnhealthy",
    "A candidate container that had been ready hung, ended, or was restarted by its probes.",
    "Read `kubectl logs --previous` of the pod in the message; fix the model or give it more resources.",
)
ANALYSIS_FAILED: Final = _(
    "AnalysisFailed",
    "A metric showed that the candidate harms.",
    "Read the figures in the message; fix the model, or widen the limit in `rollout.analysis` if the harm is wanted.",
)
USER_ABORT: Final = _(
    "UserAbort",
    "Somebody aborted the rollout.",
    "Apply a corrected spec, or run `kubectl modelway retry NAME`.",
)
