"""The API of Modelway: its types, its closed list of reasons, and the CRDs made from them. Pure."""

from modelway.api.autoscaling import Autoscaling
from modelway.api.disruption import DisruptionBudget
from modelway.api.model import ModelSource
from modelway.api.modeldeployment import ModelDeployment, ModelDeploymentSpec
from modelway.api.modelruntime import ClusterModelRuntime, ModelRuntime, RuntimeSpec
from modelway.api.rollout import CandidateMatch, Rollout, Step
from modelway.api.runtime import RuntimeChoice
from modelway.api.status import Status
from modelway.api.traffic import Traffic
from modelway.api.validation import GoldenRequest, Validation

__all__ = [
    "Autoscaling",
    "CandidateMatch",
    "ClusterModelRuntime",
    "DisruptionBudget",
    "GoldenRequest",
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelRuntime",
    "ModelSource",
    "Rollout",
    "RuntimeChoice",
    "RuntimeSpec",
    "Status",
    "Step",
    "Traffic",
    "Validation",
]
