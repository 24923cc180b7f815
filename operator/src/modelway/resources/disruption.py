"""The PodDisruptionBudget of a revision with pods: how many of them a drained node may take away at once. Pure."""

from modelway import kinds, names
from modelway.api import DisruptionBudget
from modelway.kinds import Manifest
from modelway.resources.metadata import Parent, child, selector


def budget(revision: str, parent: Parent, identity: str, wanted: DisruptionBudget) -> Manifest:
    """One for each revision, so that a candidate whose pods are not ready does not keep nodes from giving up stable's.

    Pods that are not ready may always go: they serve nobody, and would hold the drain of their node up for ever.
    """
    spec: Manifest = {
        "maxUnavailable": wanted.max_unavailable,
        "selector": {"matchLabels": selector(parent.name, identity)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    labels = {names.REVISION_LABEL: identity}
    return child(kinds.POD_DISRUPTION_BUDGET, parent, revision, labels=labels) | {"spec": spec}
