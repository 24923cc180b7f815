"""The figures that every part of the status is drawn from. Pure."""

from dataclasses import dataclass

from modelway import kinds
from modelway.analysis.verdicts import Verdict, combined
from modelway.api import Rollout as RolloutSpec
from modelway.api import reasons
from modelway.kinds import Manifest
from modelway.plan.actions import Apply, Create, Plan
from modelway.plan.observed import Observed, Revision
from modelway.plan.record import Rollout, StepState, timestamp
from modelway.plan.rollouts import declined
from modelway.plan.trouble import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The figures that every part of the status is drawn from."""

    observed: Observed
    plan: Plan
    failure: Trouble | None

    @property
    def rollout(self) -> Rollout | None:
        """The rollout under way."""
        return self.plan.record.active

    @property
    def stable(self) -> Revision | None:
        """The revision that serves."""
        return self.observed.revision(self.plan.record.stable)

    @property
    def candidate(self) -> Revision | None:
        """The revision that the rollout brings in."""
        return self.observed.revision(self.rollout.revision) if self.rollout else None

    @property
    def desired(self) -> Revision | None:
        """The revision that the spec asks for."""
        return self.observed.revision(self.plan.desired)

    @property
    def blocked(self) -> Trouble | None:
        """What keeps anything from being started: found by the plan, or answered by the API server."""
        return self.plan.blocked or (None if self.hindrance else self.failure)

    @property
    def hindrance(self) -> Trouble | None:
        """What the API server refused for a cause that goes by itself, such as a quota that is used up."""
        found = reasons.find(self.failure.reason) if self.failure else None
        return self.failure if found and found.category is reasons.Class.ENVIRONMENT else None

    @property
    def total(self) -> int:
        """N."""
        return self.plan.counts.desired

    @property
    def minimum(self) -> int:
        """Fewest pods with which the model is as the spec asks for: N, but an autoscaler may be adding some."""
        spec = self.observed.spec
        return spec.autoscaling.min_replicas if spec and spec.autoscaling else self.total

    @property
    def strategy(self) -> RolloutSpec | None:
        """`spec.rollout` as it was when the recorded rollout began; else as it is."""
        last, recorded, spec = self.plan.record.rollout, self.observed.record.rollout, self.observed.spec
        is_recorded = last is not None and recorded is not None and last.id == recorded.id
        if is_recorded and self.observed.planned is not None:
            return self.observed.planned
        return spec.rollout if spec else None

    @property
    def serving(self) -> Revision | None:
        """Who answers: stable, or where it has no pod left that could, the candidate or one that was superseded."""
        stable, candidate = self.stable, self.candidate
        if stable is not None and stable.ready:
            return stable
        if candidate is not None and candidate.ready and self.plan.weight:
            return candidate
        answering = (item for item in self.observed.revisions if item.ready and self.observed.is_in_use(item))
        return next(answering, stable or candidate)

    @property
    def is_answering(self) -> bool:
        """Whether anybody answers."""
        return self.serving is not None and self.serving.ready > 0

    @property
    def is_coming_up(self) -> bool:
        """Whether nobody answers because nobody has answered yet, since the model was last wanted."""
        status = self.observed.status
        available: Manifest = next((item for item in status.get("conditions", ()) if item["type"] == "Available"), {})
        return available.get("status") != "True" and status.get("phase") != "Degraded"

    @property
    def has_gateway(self) -> bool:
        """Whether traffic goes through a gateway; while the spec cannot be read, whether there is a route."""
        return self.observed.has_gateway if self.observed.spec else self.observed.route is not None

    @property
    def is_routed(self) -> bool:
        """Whether stable has all of the traffic, and that is in force."""
        route, stable = self.observed.route, self.plan.record.stable
        if not self.has_gateway:
            return self.observed.is_selected_alone(stable)
        shares = {name: weight for name, weight in route.weights.items() if weight} if route else {}
        return route is not None and route.is_programmed and shares == {stable: 100} and not self.is_rerouting

    @property
    def is_rerouting(self) -> bool:
        """Whether the route was written in this pass, so that what is known of it is of the past."""
        writes = (action for action in self.plan.actions if isinstance(action, Apply | Create))
        return any(action.kind == kinds.HTTP_ROUTE for action in writes)

    @property
    def is_declined(self) -> bool:
        """Whether the spec asks for a revision that failed, was aborted or was undone."""
        desired = self.desired
        is_elsewhere = desired is not None and desired.name != self.plan.record.stable
        return bool(is_elsewhere and self.rollout is None and desired and declined(self.plan.record, desired))

    @property
    def waits_for_retry(self) -> bool:
        """Whether the spec's revision was given up for now, and is tried again by clock."""
        last = self.plan.record.rollout
        return bool(last and not last.is_active and last.retry_at and last.revision == self.plan.desired)

    @property
    def pause(self) -> tuple[str, str] | None:
        """Reason and message of what the rollout waits for, if a person or a clock holds it."""
        rollout, spec = self.rollout, self.observed.spec
        if rollout is not None and rollout.state is StepState.ROLLING_BACK:
            return None
        if spec is not None and spec.rollout.paused and (rollout or self.plan.desired != self.plan.record.stable):
            return "UserPause", "spec.rollout.paused is true; set it to false to go on"
        if rollout is None or spec is None:
            return None
        if rollout.is_paused_by_command:
            return (
                "UserPause",
                f"Paused by command; go on with `kubectl modelway resume {self.observed.owner.name}`",
            )
        if rollout.state is StepState.ANALYZING:
            return self._undecided
        return self._held(rollout) if rollout.state is StepState.HOLDING else None

    def _held(self, rollout: Rollout) -> tuple[str, str] | None:
        """A hold waits for its clock, then perhaps for a person."""
        where = f"step {rollout.step + 1} at {self.plan.weight} %"
        if self.plan.awaits_approval:
            command = f"kubectl modelway promote {self.observed.owner.name}"
            return "AwaitingApproval", f"Waiting at {where} for approval: `{command}`"
        if self.plan.hold_until is None:
            return None
        return "StepPause", f"Holding {where} until {timestamp(self.plan.hold_until)}"

    @property
    def _undecided(self) -> tuple[str, str] | None:
        """A verdict that is still open after its deadline waits for a person."""
        rollout, strategy, worst = self.rollout, self.strategy, combined(self.plan.judgements)
        analysis = strategy.analysis if strategy else None
        if rollout is None or analysis is None or worst is None or rollout.hold_started_at is None:
            return None
        if self.observed.now < rollout.hold_started_at + analysis.hold_deadline:
            return None
        reason = "HoldOnProviderError" if worst.verdict is Verdict.PROVIDER_ERROR else "InconclusiveAnalysis"
        name = self.observed.owner.name
        ways = f"`kubectl modelway promote {name} --full` goes on without it, `kubectl modelway abort {name}` goes back"
        return reason, f"No verdict at step {rollout.step + 1} ({worst.verdict}): {worst.message}; {ways}"
