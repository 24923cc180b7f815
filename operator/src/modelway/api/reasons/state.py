"""Reasons that are no fault: where a rollout is. Pure."""

from typing import Final

from modelway.api.reasons.reason import Class, Reason


def _(name: str, meaning: str, next_step: str = "Nothing to do.") -> Reason:
    return Reason(name=name, category=Class.STATE, meaning=meaning, next_step=next_step)


ROUTE_PROGRAMMED: Final = _("Programmed", "Every gateway has confirmed the weights.")
REVISION_PROMOTED: Final = _("RevisionPromoted", "The revision of the spec serves all traffic.")
ROLLOUT_IN_PROGRESS: Final = _("RolloutInProgress", "A rollout moves.")
ROLLOUT_PAUSED: Final = _(
    "RolloutPaused",
    "A rollout is paused or waits for approval.",
    "`kubectl modelway status NAME` says for whom it waits.",
)
ROLLOUT_ABORTED: Final = _(
    "RolloutAborted",
    "The rollout was aborted; the former revision serves.",
    "Apply a corrected spec or the former one, or run `kubectl modelway retry NAME`.",
)
ROLLOUT_FAILED: Final = _(
    "RolloutFailed",
    "The revision of the spec failed; the former one serves.",
    "See the condition RevisionFailed for why; apply a corrected spec or the former one.",
)
BELOW_MINIMUM_READY: Final = _(
    "BelowMinimumReady",
    "Fewer pods answer than are needed.",
    "See the pods' state in the message; a pod that cannot start has its reason there.",
)
SCALED_TO_ZERO: Final = _("ScaledToZero", "`replicas: 0`: nothing serves, as asked.")
MINIMUM_REPLICAS_READY: Final = _("MinimumReplicasReady", "Enough pods answer.")
MINIMUM_REPLICAS_UNAVAILABLE: Final = _(
    "MinimumReplicasUnavailable",
    "Fewer pods answer than are needed.",
    "See the pods' state in the message; a pod that cannot start has its reason there.",
)
NEW_REVISION_CREATED: Final = _("NewRevisionCreated", "A revision was born.")
SCALING_UP: Final = _("ScalingUp", "Pods are started.")
LOADING_MODEL: Final = _("LoadingModel", "Pods fetch and load the model.")
WARMING_UP: Final = _("WarmingUp", "The model is warmed.")
VALIDATING: Final = _("Validating", "The golden requests are asked.")
SHIFTING_TRAFFIC: Final = _("ShiftingTraffic", "Traffic moves to the candidate, or the step holds.")
ANALYZING: Final = _("Analyzing", "The hold is over and the verdict open.")
DRAINING: Final = _("Draining", "Pods without traffic answer their last requests.")
COMPLETE: Final = _("Complete", "Nothing moves.")
PAUSED: Final = _(
    "Paused",
    "A rollout is paused or waits for approval.",
    "`kubectl modelway status NAME` says for whom it waits.",
)
PROGRESS_DEADLINE_EXCEEDED: Final = _(
    "ProgressDeadlineExceeded",
    "The candidate made no progress within `progressDeadline`; it is tried again after 5, 15 and 60 minutes.",
    "Remove the cause that the message names; the next try comes by itself, or at once with `kubectl "
    "modelway retry NAME`.",
)
FAIL_FAST: Final = _(
    "FailFast",
    "The candidate failed for good.",
    "See the condition RevisionFailed for why; apply a corrected spec.",
)
ABORTED: Final = _(
    "Aborted",
    "Somebody aborted the rollout.",
    "Apply a corrected spec, or run `kubectl modelway retry NAME`.",
)
STEP_PAUSE: Final = _(
    "StepPause",
    "The step holds for its time.",
    "It goes on by itself; to end the hold now, run `kubectl modelway promote NAME`.",
)
USER_PAUSE: Final = _(
    "UserPause",
    "Somebody paused the rollout.",
    "Run `kubectl modelway resume NAME`, or write `rollout.paused: false`.",
)
AWAITING_APPROVAL: Final = _(
    "AwaitingApproval",
    "The step waits for approval.",
    "Run `kubectl modelway promote NAME`, or `kubectl modelway abort NAME`.",
)
INCONCLUSIVE_ANALYSIS: Final = _(
    "InconclusiveAnalysis",
    "The analysis was still undecided at `holdDeadline`.",
    "Read the figures in the message, then promote or abort.",
)
HOLD_ON_PROVIDER_ERROR: Final = _(
    "HoldOnProviderError",
    "The provider of a metric does not answer; the rollout holds.",
    "Repair the provider named in the message, or promote or abort by hand.",
)
ANALYSIS_PASS: Final = _("Pass", "The analysis found no harm.")
ANALYSIS_FAIL: Final = _("Fail", "The analysis found harm.", "See the condition RevisionFailed for the figures.")
ANALYSIS_INCONCLUSIVE: Final = _("Inconclusive", "The analysis has samples and no verdict yet.")
ANALYSIS_NO_DATA: Final = _(
    "NoData", "The analysis has no figures.", "Check that the model gets requests and that the metric exists."
)
ANALYSIS_INSUFFICIENT_SAMPLES: Final = _("InsufficientSamples", "The analysis needs more requests.")
ANALYSIS_PROVIDER_ERROR: Final = _(
    "ProviderError", "The provider of a metric does not answer.", "Repair the provider named in the message."
)
ANALYSIS_NOT_STARTED: Final = _("NotStarted", "The analysis has not begun.")
SPEC_REVERTED: Final = _("SpecReverted", "The spec went back to the revision that serves.")
SUPERSEDED: Final = _("Superseded", "A newer spec took the place of this one before it was promoted.")
USER_UNDO: Final = _("UserUndo", "Somebody went back to an older revision.")
DRIFT_REPAIRED: Final = _(
    "DriftRepaired",
    "Somebody changed an object that belongs to the model; it is as it was again.",
    "Find out who writes it with `kubectl get KIND OBJECT -o yaml --show-managed-fields`; change the ModelDeployment "
    "instead.",
)
COMMAND_REJECTED: Final = _(
    "CommandRejected",
    "A command was meant for another object, rollout or step.",
    "See `kubectl modelway status NAME` for the present rollout and step, and ask again.",
)
