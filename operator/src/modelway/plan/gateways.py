"""Why the way in that a spec asks for cannot be had: another model has it, or the gateway cannot do it. Pure."""

from modelway.api import ModelDeploymentSpec
from modelway.plan.observed import Observed, Rival
from modelway.plan.scene import Scene
from modelway.plan.trouble import Trouble
from modelway.resources.traffic import Mirror

MIRROR, MIRROR_PERCENT = "HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"
"""Features, as a GatewayClass reports them."""


def blocked(observed: Observed, spec: ModelDeploymentSpec) -> Trouble | None:
    """Why nothing may be started with this way in."""
    if not spec.has_gateway or spec.traffic is None:
        return None
    if not observed.features.gateway:
        message = "spec.traffic.parentRefs needs the Gateway API (HTTPRoute v1), which this cluster does not have"
        return Trouble(reason="FeatureNotSupported", message=message)
    if spec.traffic.session_persistence is not None and "sessionPersistence" not in observed.features.route_fields:
        message = (
            "spec.traffic.sessionPersistence needs a Gateway API whose HTTPRoutes have that field (experimental "
            "channel); the one of this cluster has not"
        )
        return Trouble(reason="FeatureNotSupported", message=message)
    return _conflict(observed.rival) if observed.rival else None


def _conflict(rival: Rival) -> Trouble:
    message = f"ModelDeployment {rival.namespace}/{rival.name} has {rival.place} on the Gateway {rival.gateway}"
    return Trouble(reason="Conflict", message=message)


def mirror(scene: Scene) -> Mirror | None:
    """Who gets a copy of the requests; nobody where a gateway cannot do that."""
    return None if unmirrored(scene) else scene.mirror


def unmirrored(scene: Scene) -> Trouble | None:
    """Why the requests cannot be copied."""
    if scene.mirror is None:
        return None
    needed = MIRROR if scene.mirror.percent >= 100 else MIRROR_PERCENT
    if needed in scene.observed.gateway_features:
        return None
    message = f"To copy {scene.mirror.percent} % of the requests every Gateway in traffic.parentRefs needs a class "
    return Trouble(reason="FeatureNotSupported", message=message + f"that reports {needed}")
