"""A ModelDeployment as the command line reads it. Pure."""

from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError

from modelway.api import ModelDeploymentSpec
from modelway.api.status import Condition, LastCommand, Revision, RolloutStatus, Status
from modelway.cli.exits import Failure
from modelway.kinds import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One ModelDeployment: identity, spec (None when no longer valid) and status."""

    namespace: str
    name: str
    uid: str
    generation: int
    is_deleting: bool
    spec: ModelDeploymentSpec | None
    status: Status
    manifest: Manifest

    @classmethod
    def parse(cls, manifest: Manifest) -> Self:
        """The object as the API server gave it. Raises Failure where the status is of an unknown form."""
        metadata = manifest["metadata"]
        try:
            status = Status.model_validate(manifest.get("status") or {})
        except ValidationError as error:
            raise Failure(
                f"the status of {metadata['name']} has a form that this program does not know: "
                f"{error.errors()[0]['msg']}",
                advice="Update this program to the version of the operator.",
            ) from error
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            is_deleting="deletionTimestamp" in metadata,
            spec=_spec(manifest),
            status=status,
            manifest=manifest,
        )

    @property
    def is_observed(self) -> bool:
        """Whether the operator has seen the present spec."""
        return self.status.observed_generation == self.generation

    @property
    def rollout(self) -> RolloutStatus | None:
        """The rollout under way, or the last one."""
        return self.status.rollout

    @property
    def active(self) -> RolloutStatus | None:
        """The rollout under way."""
        rollout = self.rollout
        return rollout if rollout and not rollout.finished_at else None

    @property
    def last_command(self) -> LastCommand | None:
        """The last command that the operator saw."""
        return self.rollout.last_command if self.rollout else None

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if the status has it."""
        return next((item for item in self.status.conditions if item.type == kind), None)

    def is_true(self, kind: str) -> bool:
        """Whether the condition of that type is True."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"

    def revision(self, number: int) -> Revision | None:
        """The revision of that number, if it is kept."""
        return next((item for item in self.status.revisions if item.number == number), None)

    def number(self, name: str | None) -> str:
        """A revision's number for the eye; its name where it is no longer kept."""
        found = next((item for item in self.status.revisions if item.name == name), None)
        return str(found.number) if found else (name or "?")


def _spec(manifest: Manifest) -> ModelDeploymentSpec | None:
    try:
        return ModelDeploymentSpec.model_validate(manifest.get("spec") or {})
    except ValidationError:
        return None
