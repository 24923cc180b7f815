"""Envoy Gateway with the Gateway API: CRDs, controller, class `envoy` and Gateway `public`."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster import paths, shell, system_images, tools, waiting
from cluster.kubectl import Kubectl, Manifest
from cluster.versions import ENVOY_GATEWAY, GATEWAY_API

MODULE = "github.com/envoyproxy/gateway"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
SYSTEM = "envoy-gateway-system"
CLASS = "envoy"
NAME = "public"
NAMESPACE = "gateways"
CONTROLLER_CRDS = ("envoyproxies",)
"""Envoy Gateway has more, all optional and large; each takes the API server about half a second."""


def ensure_chart() -> Path:
    """The controller's chart and one file of all CRDs, taken from the modules; a folder in the cache."""
    folder = paths.cache() / "charts" / f"gateway-{ENVOY_GATEWAY.version}-{GATEWAY_API}"
    if folder.exists():
        return folder
    source = tools.module_folder(MODULE, ENVOY_GATEWAY.version) / "charts" / "gateway-helm"
    standard = tools.module_folder("sigs.k8s.io/gateway-api", GATEWAY_API) / "config" / "crd" / "standard"
    temporary = folder.with_suffix(".building")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary / "chart", copy_function=shutil.copyfile, ignore=_without_crds)
    values = (source / "values.tmpl.yaml").read_text()
    (temporary / "chart" / "values.yaml").write_text(_filled(values))
    generated = source / "charts" / "crds" / "crds" / "generated"
    crds = (generated / f"gateway.envoyproxy.io_{name}.yaml" for name in CONTROLLER_CRDS)
    definitions = [without_descriptions(path.read_text()) for path in (*sorted(standard.glob("*.yaml")), *crds)]
    (temporary / "crds.yaml").write_text("\n---\n".join(definitions))
    temporary.rename(folder)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """What differs between clusters: the images, and how this machine reaches Envoy."""

    controller_image: str
    envoy: Manifest
    service_type: str


NODE = Flavour(
    controller_image=system_images.GATEWAY,
    envoy={"image": system_images.ENVOY},
    service_type="ClusterIP",
)
PUBLIC = Flavour(controller_image=f"envoyproxy/gateway:v{ENVOY_GATEWAY.version}", envoy={}, service_type="NodePort")


def values(flavour: Flavour) -> Manifest:
    """No leader election, as there is one controller; no topology webhook; ready as soon as it is."""
    image = {"image": flavour.controller_image, "pullPolicy": "IfNotPresent"}
    provider = {"type": "Kubernetes", "kubernetes": {"leaderElection": {"disable": True}}}
    return {
        "crds": {"enabled": False},
        "global": {"images": {"envoyGateway": image}},
        "topologyInjector": {"enabled": False},
        "deployment": {"envoyGateway": {"readinessProbe": {"periodSeconds": 1}}},
        "config": {"envoyGateway": {"provider": provider}},
    }


def manifests(flavour: Flavour) -> list[Manifest]:
    """The class with its Envoy, and a Gateway that takes routes from every namespace.

    Envoy fails its first start-up probe; with the next one after ten seconds it would be ready that much later.
    """
    parameters = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": CLASS, "namespace": SYSTEM}
    containers = [{"name": name, "startupProbe": {"periodSeconds": 1}} for name in ("envoy", "shutdown-manager")]
    impatient = {"type": "StrategicMerge", "value": {"spec": {"template": {"spec": {"containers": containers}}}}}
    infrastructure = {
        "envoyDeployment": {"container": flavour.envoy, "patch": impatient},
        "envoyService": {"type": flavour.service_type},
    }
    routes = {"namespaces": {"from": "All"}}
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": routes}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
        {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyProxy",
            "metadata": {"name": CLASS, "namespace": SYSTEM},
            "spec": {"provider": {"type": "Kubernetes", "kubernetes": infrastructure}},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": CLASS},
            "spec": {"controllerName": CONTROLLER, "parametersRef": parameters},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": CLASS, "listeners": [listener]},
        },
    ]


def install_definitions(kubectl: Kubectl) -> None:
    definitions = ensure_chart() / "crds.yaml"
    kubectl.run("create", "--validate=false", f"--filename={definitions}")
    kinds = "envoyproxies,gatewayclasses,gateways"
    waiting.until(lambda: kubectl.answers("get", kinds, "--all-namespaces"), (), f"the API serves {kinds}")


def install(kubectl: Kubectl, flavour: Flavour) -> None:
    """Create the Gateway and install its controller; returns before Envoy runs.

    The chart's hook is a job that makes certificates; its program makes them from here without waiting for a pod.
    """
    kubectl.create(manifests(flavour))
    certificates = (tools.binary("envoy-gateway"), "certgen", "--disable-topology-injector")
    shell.run(certificates, environment={**kubectl.environment, "ENVOY_GATEWAY_NAMESPACE": SYSTEM})
    options = (f"--namespace={SYSTEM}", "--values=-", "--no-hooks", "--disable-openapi-validation")
    helm = ("install", "eg", ensure_chart() / "chart", *options)
    shell.run(
        (tools.binary("helm"), *kubectl.flags("--kube-context"), *helm),
        stdin=json.dumps(values(flavour)),
        environment=tools.helm_environment(),
    )


def wait_until_programmed(kubectl: Kubectl, limit: int = 120) -> str:
    """Return the Gateway's address when Envoy serves it."""
    name = f"gateway/{NAME}"
    kubectl.run("wait", name, f"--namespace={NAMESPACE}", "--for=condition=Programmed", f"--timeout={limit}s")
    return address(kubectl)


def address(kubectl: Kubectl) -> str:
    """The first address in the Gateway's status, or an empty string."""
    found = kubectl.get(f"gateway/{NAME}", f"--namespace={NAMESPACE}")
    addresses = found.get("status", {}).get("addresses", [])
    return str(addresses[0]["value"]) if addresses else ""


def without_descriptions(text: str) -> str:
    """A definition without its schema's descriptions, which are two thirds of it; the keys called so stay."""
    kept: list[str] = []
    inside: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        if inside is not None and (not line.strip() or indent > inside):
            continue
        inside = indent if re.match(r" *description: ?\S", line) else None
        if inside is None:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _filled(template: str) -> str:
    """The chart's values with its two placeholders filled; `values()` overrides both."""
    image = template.replace("${GatewayImage}", system_images.GATEWAY)
    return image.replace("${GatewayImagePullPolicy}", "IfNotPresent")


def _without_crds(folder: str, names: list[str]) -> list[str]:
    """The CRDs come from `crds.yaml`: the chart's copy is of the experimental channel."""
    return ["crds"] if Path(folder).name == "crds" and "crds" in names else []
