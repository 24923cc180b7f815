"""The sidecar that does for a runtime what it cannot: warms, asks the golden requests, holds readiness. Pure.

A native sidecar, so that it begins before the server and outlives it. It has no startup probe: the kubelet would wait
for that before it starts the server, which the gate in turn waits for.
"""

from collections.abc import Iterable

from modelway.api import RuntimeSpec
from modelway.kinds import Manifest

CONTAINER = "gate"
FIRST_PORT = 8002
_PROTOCOLS = ("V2", "V1", "Invocations")
"""In the order in which golden requests, which are written in V2, lose least."""


def is_needed(runtime: RuntimeSpec) -> bool:
    """Whether the runtime lacks something that a gate stands in for."""
    able = runtime.capabilities
    return not (able.golden_requests and able.warmup and able.drain)


def protocol(runtime: RuntimeSpec) -> str:
    """The protocol in which the server is asked."""
    return next(name for name in _PROTOCOLS if name in runtime.protocols)


def container(runtime: RuntimeSpec, template: Manifest, environment: Iterable[Manifest]) -> Manifest:
    """The sidecar's own part: what it is told, where it listens and what it may use."""
    port, able = _free_port(runtime, template), runtime.capabilities
    told = {
        "MODELWAY_SERVER_URL": f"http://localhost:{runtime.ports.http}",
        "MODELWAY_GATE_PROTOCOL": protocol(runtime),
        "MODELWAY_GATE_WARMUP": str(not able.warmup).lower(),
        "MODELWAY_GATE_GOLDEN": str(not able.golden_requests).lower(),
        "MODELWAY_GATE_PORT": str(port),
    }
    return {
        "name": CONTAINER,
        "restartPolicy": "Always",
        "args": ["gate"],
        "env": [*environment, *({"name": name, "value": value} for name, value in told.items())],
        "ports": [{"name": CONTAINER, "containerPort": port}],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": port},
            "periodSeconds": 2,
            "failureThreshold": 2,
            "timeoutSeconds": 2,
        },
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }


def port(template: Manifest) -> int | None:
    """Where the gate of a rendered pod template tells its state; None where it has none."""
    found = [item for item in template["spec"].get("initContainers") or () if item["name"] == CONTAINER]
    ports = [item["containerPort"] for item in found[0].get("ports") or ()] if found else []
    return int(ports[0]) if ports else None


def _free_port(runtime: RuntimeSpec, template: Manifest) -> int:
    """The containers of a pod share its ports, so it is one that none of them says it listens on."""
    spec = template["spec"]
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    taken = {port.get("containerPort") for item in containers for port in item.get("ports") or ()}
    taken |= set(runtime.ports.model_dump(exclude_none=True).values())
    return next(port for port in range(FIRST_PORT, 65536) if port not in taken)
