"""What every decision of a pass looks at: the snapshot, the record as it stands, and the figures that follow. Pure."""

from dataclasses import dataclass, replace
from functools import cached_property

from modelway import names
from modelway.analysis.archive import NO_EVIDENCE, Archive
from modelway.analysis.verdicts import Judgement, combined
from modelway.api import ModelDeploymentSpec, Step
from modelway.api import Rollout as RolloutSpec
from modelway.api.analysis import Analysis
from modelway.plan.observed import Observed, Revision
from modelway.plan.record import Outcome, Record, Rollout, Source, StepState, Strategy
from modelway.resources.metadata import Parent
from modelway.resources.traffic import Mirror

WAITING_STATES = (StepState.SCALING, StepState.LOADING, StepState.WARMING, StepState.VALIDATING)
STEPPED = (Strategy.CANARY, Strategy.BLUE_GREEN)
JUDGED_STATES = (StepState.HOLDING, StepState.ANALYZING)
"""States in which evidence is gathered."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One moment of one model. Every property is derived, and worked out once: a pass asks for most of them often."""

    observed: Observed
    spec: ModelDeploymentSpec
    parent: Parent
    record: Record
    archive: Archive = NO_EVIDENCE
    """The evidence of the recorded rollout, with what was read last."""
    judgements: tuple[Judgement, ...] | None = None
    """What the present evidence amounts to, metric by metric; None where nothing counted when the pass began."""
    mirror: Mirror | None = None
    """Who gets a copy of the requests besides."""

    def at(self, rollout: Rollout) -> "Scene":
        """The same moment with the rollout moved on."""
        return self if rollout is self.record.rollout else self.knowing(replace(self.record, rollout=rollout))

    def knowing(self, record: Record) -> "Scene":
        """The same moment with another record; with the same one, what is worked out already stays."""
        return self if record is self.record else replace(self, record=record)

    @cached_property
    def rollout(self) -> Rollout | None:
        """The rollout under way."""
        return self.record.active

    @cached_property
    def stable(self) -> Revision | None:
        """The revision that serves, or is gone back to."""
        return self.observed.revision(self.record.stable)

    @cached_property
    def candidate(self) -> Revision | None:
        """The revision that the rollout under way brings in."""
        return self.observed.revision(self.rollout.revision) if self.rollout else None

    @cached_property
    def serving(self) -> Revision | None:
        """Who has what the candidate has not: stable or, while it has no ready pod, a superseded one that answers."""
        stable = self.stable
        if stable is None or stable.ready:
            return stable
        answering = [item for item in self.others if item.ready and self.is_in_use(item)]
        return max(answering, key=self.weight_of, default=stable)

    @cached_property
    def model_name(self) -> str:
        """The model's name in paths: that of the revision which serves, whose pods answer to no other."""
        name = self.stable.model_name if self.stable else self.spec.model.name
        return name or self.parent.name

    @cached_property
    def strategy(self) -> RolloutSpec:
        """`spec.rollout` as it was when the rollout began."""
        recorded = self.observed.record.rollout
        is_recorded = self.rollout is not None and recorded is not None and self.rollout.id == recorded.id
        return self.observed.planned if is_recorded and self.observed.planned else self.spec.rollout

    @cached_property
    def recorded_strategy(self) -> RolloutSpec:
        """`spec.rollout` as it was when the recorded rollout began, also after its end."""
        last, recorded = self.record.rollout, self.observed.record.rollout
        is_recorded = last is not None and recorded is not None and last.id == recorded.id
        return self.observed.planned if is_recorded and self.observed.planned else self.spec.rollout

    @cached_property
    def baking(self) -> Revision | None:
        """The revision that was promoted last, while the one before it is still warm to go back to."""
        last = self.record.rollout
        if last is None or last.is_active or last.strategy not in STEPPED or last.revision != self.record.stable:
            return None
        former, until = self.observed.revision(last.origin), self.record.retire_at.get(last.origin)
        is_warm = former is not None and former.ready >= 1 and until is not None and self.observed.now < until
        return self.stable if is_warm and last.outcome in (Outcome.PROMOTED, Outcome.FAST_PROMOTED) else None

    @cached_property
    def analysis(self) -> Analysis | None:
        """What the rollout under way is judged by; None where nothing is."""
        rollout = self.rollout
        if rollout is None or rollout.strategy not in STEPPED or not self.strategy.analysis:
            return None
        return self.strategy.analysis if self.strategy.analysis.metrics else None

    @cached_property
    def on_undecided(self) -> str | None:
        """What becomes of a step that has no verdict by now; None before its deadline."""
        rollout, analysis = self.rollout, self.analysis
        if rollout is None or analysis is None or rollout.hold_started_at is None:
            return None
        is_due = self.observed.now >= rollout.hold_started_at + analysis.hold_deadline
        return analysis.on_undecided if is_due else None

    @cached_property
    def judgement(self) -> Judgement | None:
        """The worst of the judgements that count."""
        return combined(self.judgements or ())

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the rollout; the last one is always 100."""
        return self.strategy.stages(self.rollout.strategy if self.rollout else "")

    @cached_property
    def step(self) -> Step:
        """The step that the rollout is at."""
        rollout = self.rollout
        assert rollout is not None
        return self.steps[self._index(rollout)]

    def _index(self, rollout: Rollout) -> int:
        """Its step; the last one where its plan was lost and the spec has fewer steps by now."""
        return min(rollout.step, len(self.steps) - 1)

    @cached_property
    def granted(self) -> int:
        """Percent that the candidate may have now."""
        rollout = self.rollout
        if rollout is None or rollout.state is StepState.ROLLING_BACK:
            return 0
        if rollout.state not in WAITING_STATES:
            return self.step.weight
        index = self._index(rollout)
        return self.steps[index - 1].weight if index else 0

    @cached_property
    def is_gradual(self) -> bool:
        """Whether weight follows each pod that becomes ready, instead of waiting for all of a step."""
        return self.rollout is not None and self.rollout.strategy not in STEPPED

    @cached_property
    def is_at_once(self) -> bool:
        """Whether the candidate gets all of the traffic in one write, once all of its pods are ready."""
        return self.rollout is not None and self.rollout.strategy is Strategy.BLUE_GREEN

    @cached_property
    def is_paused(self) -> bool:
        """Whether a person, or another model with the same way in, stops the rollout; its way back nothing stops."""
        rollout = self.rollout
        if rollout is None or rollout.state is StepState.ROLLING_BACK or rollout.source is Source.BAKE:
            return False
        return self.spec.rollout.paused or rollout.is_paused_by_command or self.observed.rival is not None

    @cached_property
    def tried(self) -> Revision | None:
        """The candidate, where requests may be sent to it whatever its weight; while it has a ready pod."""
        rollout, candidate = self.rollout, self.candidate
        if rollout is None or rollout.strategy in (Strategy.INITIAL, Strategy.RETURN):
            return None
        is_going = rollout.state is not StepState.ROLLING_BACK and candidate is not None and candidate.ready > 0
        return candidate if is_going else None

    @cached_property
    def is_frozen(self) -> bool:
        """Whether pods are on the move and have to stay as they are: a pause stops them as well as the weights."""
        rollout = self.rollout
        is_moving = rollout is not None and rollout.state in (*WAITING_STATES, StepState.ROUTING)
        return self.is_paused and is_moving and (self.is_gradual or not self.keeps_stable)

    @cached_property
    def preview_hostnames(self) -> tuple[str, ...]:
        """Host names that lead to the candidate now; as the spec has them, since others must not claim them."""
        is_shown = self.is_at_once and self.tried is not None and self.observed.rival is None
        return self.spec.rollout.preview_hostnames if is_shown and self.spec.has_gateway else ()

    @cached_property
    def is_suspended(self) -> bool:
        """Whether the user wants no pod at all."""
        return self.total == 0

    @cached_property
    def total(self) -> int:
        """N: the pods that carry all of the traffic."""
        autoscaling = self.spec.autoscaling
        if autoscaling is None:
            return 1 if self.spec.replicas is None else self.spec.replicas
        rollout = self.rollout
        seen = max(self.stable.replicas if self.stable else 0, rollout.base if rollout else 0)
        return max(autoscaling.min_replicas, min(seen, autoscaling.max_replicas))

    @cached_property
    def surge(self) -> int:
        """Pods above N that the rollout may use; none once there has been no room for them."""
        if self.rollout is not None and self.rollout.is_replacing:
            return 0
        strategy = self.observed.planned if self._is_baking and self.observed.planned else self.strategy
        return strategy.surge_pods(self.total)

    @cached_property
    def _is_baking(self) -> bool:
        """Whether the last rollout still has pods of the revision that it replaced, within its own surge."""
        last = self.record.rollout
        return last is not None and not last.is_active and last.origin in self.record.retire_at

    @cached_property
    def budget(self) -> int:
        """Pods that all revisions together may have."""
        return self.total + self.surge

    @cached_property
    def is_replacing(self) -> bool:
        """Whether the rollout has no pod to spare, so that stable gives one up before the candidate gets one."""
        rollout = self.rollout
        return rollout is not None and rollout.strategy is not Strategy.INITIAL and self.surge == 0

    @cached_property
    def carrying(self) -> int:
        """Pods that carry all of the traffic: N, or one fewer while one is given up before another starts."""
        return max(0, self.total - self.is_replacing)

    @cached_property
    def keeps_stable(self) -> bool:
        """Whether stable keeps all of its pods during the rollout."""
        return self.surge >= self.total

    def weight_of(self, revision: Revision | None) -> int:
        """Percent that the revision has: written in the route or, without a gateway, its share of the ready pods."""
        if revision is None:
            return 0
        if self.observed.has_gateway:
            return self.observed.route.share(revision.name) if self.observed.route else 0
        if not self.observed.is_selected(revision):
            return 0
        selected = [item for item in self.observed.revisions if self.observed.is_selected(item)]
        ready = sum(item.ready for item in selected)
        return 100 * revision.ready // ready if ready else 0

    @cached_property
    def is_programmed(self) -> bool:
        """Whether the weights that are written hold everywhere, and the preview that is there is shown everywhere."""
        if not self.observed.has_gateway:
            return True
        route, preview = self.observed.route, self.observed.preview_route
        return route is not None and route.is_programmed and (preview is None or preview.is_programmed)

    def is_in_use(self, revision: Revision) -> bool:
        """Whether the route gives it weight, or the model's own Service selects it."""
        return self.observed.is_in_use(revision)

    def has_traffic(self, revision: Revision) -> bool:
        """Whether any request may still be sent to the revision, also by a proxy that is behind."""
        return self.is_in_use(revision) or not (self.is_programmed or self.is_unrouted)

    @cached_property
    def is_unrouted(self) -> bool:
        """Whether there is no route and none comes in its place.

        One that somebody deleted is in force until the gateway has confirmed the one that is written in its place.
        """
        is_written = self.serving is not None and self.serving.ready > 0 and self.observed.rival is None
        return self.observed.route is None and not is_written

    @cached_property
    def is_union(self) -> bool:
        """Whether the model's own Service selects every revision."""
        return bool(self.observed.selected) and names.REVISION_LABEL not in self.observed.selected

    @cached_property
    def others(self) -> tuple[Revision, ...]:
        """Every revision that is neither stable nor candidate."""
        present = {self.record.stable, self.rollout.revision if self.rollout else ""}
        return tuple(item for item in self.observed.revisions if item.name not in present)
