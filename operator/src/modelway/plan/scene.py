"""What every decision of a pass looks at: the snapshot, the record as it stands, and the figures that follow. Pure."""

from dataclasses import dataclass, replace

from modelway import names
from modelway.api import ModelDeploymentSpec, Step
from modelway.api import Rollout as RolloutSpec
from modelway.plan import capacity
from modelway.plan.observed import Observed, Revision
from modelway.plan.record import Record, Rollout, StepState, Strategy
from modelway.resources.metadata import Parent

LAST = Step(weight=100)
WAITING_STATES = (StepState.SCALING, StepState.LOADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment of one model. Every property is derived; nothing here is stored."""

    observed: Observed
    spec: ModelDeploymentSpec
    parent: Parent
    record: Record

    def at(self, rollout: Rollout) -> "Scene":
        """The same moment with the rollout moved on."""
        return replace(self, record=replace(self.record, rollout=rollout))

    @property
    def rollout(self) -> Rollout | None:
        """The rollout under way."""
        return self.record.active

    @property
    def stable(self) -> Revision | None:
        """The revision that serves, or is gone back to."""
        return self.observed.revision(self.record.stable)

    @property
    def candidate(self) -> Revision | None:
        """The revision that the rollout under way brings in."""
        return self.observed.revision(self.rollout.revision) if self.rollout else None

    @property
    def serving(self) -> Revision | None:
        """Who has what the candidate has not: stable or, while it has no ready pod, a superseded one that answers."""
        stable = self.stable
        if stable is None or stable.ready:
            return stable
        answering = [item for item in self.others if item.ready and self.is_in_use(item)]
        return max(answering, key=self.weight_of, default=stable)

    @property
    def strategy(self) -> RolloutSpec:
        """`spec.rollout` as it was when the rollout began."""
        recorded = self.observed.record.rollout
        is_recorded = self.rollout is not None and recorded is not None and self.rollout.id == recorded.id
        return self.observed.planned if is_recorded and self.observed.planned else self.spec.rollout

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the rollout; the last one is always 100."""
        rollout = self.rollout
        if rollout is None or rollout.strategy is not Strategy.CANARY:
            return (LAST,)
        steps = self.strategy.steps
        return steps if steps and steps[-1].weight == LAST.weight else (*steps, LAST)

    @property
    def step(self) -> Step:
        """The step that the rollout is at."""
        rollout = self.rollout
        assert rollout is not None
        return self.steps[self._index(rollout)]

    def _index(self, rollout: Rollout) -> int:
        """Its step; the last one where its plan was lost and the spec has fewer steps by now."""
        return min(rollout.step, len(self.steps) - 1)

    @property
    def granted(self) -> int:
        """Percent that the candidate may have now."""
        rollout = self.rollout
        if rollout is None or rollout.state is StepState.ROLLING_BACK:
            return 0
        if rollout.state not in WAITING_STATES:
            return self.step.weight
        index = self._index(rollout)
        return self.steps[index - 1].weight if index else 0

    @property
    def is_gradual(self) -> bool:
        """Whether weight follows each pod that becomes ready, instead of waiting for all of a step."""
        return self.rollout is not None and self.rollout.strategy is not Strategy.CANARY

    @property
    def is_paused(self) -> bool:
        """Whether a person stopped the rollout, by spec or by command; on its way back nothing stops it."""
        rollout = self.rollout
        if rollout is None or rollout.state is StepState.ROLLING_BACK:
            return False
        return self.spec.rollout.paused or rollout.is_paused_by_command

    @property
    def is_frozen(self) -> bool:
        """Whether pods are on the move and have to stay as they are: a pause stops them as well as the weights."""
        rollout = self.rollout
        is_moving = rollout is not None and rollout.state in (*WAITING_STATES, StepState.ROUTING)
        return self.is_paused and is_moving and (self.is_gradual or not self.keeps_stable)

    @property
    def is_suspended(self) -> bool:
        """Whether the user wants no pod at all."""
        return self.total == 0

    @property
    def total(self) -> int:
        """N: the pods that carry all of the traffic."""
        autoscaling = self.spec.autoscaling
        if autoscaling is None:
            return 1 if self.spec.replicas is None else self.spec.replicas
        rollout = self.rollout
        seen = max(self.stable.replicas if self.stable else 0, rollout.base if rollout else 0)
        return max(autoscaling.min_replicas, min(seen, autoscaling.max_replicas))

    @property
    def surge(self) -> int:
        """Pods above N that the rollout may use."""
        if self.rollout and self.rollout.strategy is Strategy.RETURN:
            return self.total
        return capacity.surge(self.strategy, self.total)

    @property
    def keeps_stable(self) -> bool:
        """Whether stable keeps all of its pods during the rollout."""
        return self.surge >= self.total

    def weight_of(self, revision: Revision | None) -> int:
        """Percent that the revision has: written in the route or, without a gateway, its share of the ready pods."""
        if revision is None:
            return 0
        if self.observed.has_gateway:
            return self.observed.route.weights.get(revision.name, 0) if self.observed.route else 0
        if not self.observed.is_selected(revision):
            return 0
        selected = [item for item in self.observed.revisions if self.observed.is_selected(item)]
        ready = sum(item.ready for item in selected)
        return 100 * revision.ready // ready if ready else 0

    @property
    def is_programmed(self) -> bool:
        """Whether the weights that are written hold everywhere."""
        if not self.observed.has_gateway:
            return True
        return self.observed.route is not None and self.observed.route.is_programmed

    def is_in_use(self, revision: Revision) -> bool:
        """Whether the route gives it weight, or the model's own Service selects it."""
        return self.observed.is_in_use(revision)

    def has_traffic(self, revision: Revision) -> bool:
        """Whether any request may still be sent to the revision, also by a proxy that is behind."""
        return self.is_in_use(revision) or not (self.is_programmed or self.observed.route is None)

    @property
    def is_union(self) -> bool:
        """Whether the model's own Service selects every revision."""
        return bool(self.observed.selected) and names.REVISION_LABEL not in self.observed.selected

    @property
    def others(self) -> tuple[Revision, ...]:
        """Every revision that is neither stable nor candidate."""
        present = {self.record.stable, self.rollout.revision if self.rollout else ""}
        return tuple(item for item in self.observed.revisions if item.name not in present)
