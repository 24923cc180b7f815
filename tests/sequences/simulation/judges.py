"""What kstatus and Argo CD make of an object: asked of their own code, with the scripts that the chart ships."""

import json
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cluster import tools, versions
from modelway.kinds import Manifest

CUSTOMIZATIONS = Path(__file__).parents[3] / "charts" / "modelway" / "argocd" / "argocd-cm.yaml"
_KEY = "resource.customizations.{}.serving.modelway.io_ModelDeployment"

Answer = dict[str, Any]
"""`kstatus` and `health` (each with `status` and `message`), `available` (names of actions), `actions` (objects)."""


@cache
def scripts() -> dict[str, Any]:
    """The Lua of the ConfigMap, as Argo CD reads it."""
    data = yaml.safe_load(CUSTOMIZATIONS.read_text(encoding="utf-8"))["data"]
    actions = yaml.safe_load(data[_KEY.format("actions")])
    return {
        "health": data[_KEY.format("health")],
        "discovery": actions["discovery.lua"],
        "actions": {item["name"]: item["action.lua"] for item in actions["definitions"]},
    }


def judged(objects: Iterable[Manifest]) -> list[Answer]:
    """The answers to each object, in the same order."""
    return _asked([{"object": item, **scripts(), "actions": {}} for item in objects])


def act(manifest: Manifest, action: str) -> Manifest:
    """The object after an action of Argo CD."""
    (answer,) = _asked([{"object": manifest, "actions": {action: scripts()["actions"][action]}}])
    found: Manifest = answer["actions"][action]
    return found


def _asked(questions: list[dict[str, Any]]) -> list[Answer]:
    tools.ensure(versions.TEST_TOOLS)
    lines = "".join(f"{json.dumps(question)}\n" for question in questions)
    command = [str(tools.binary(versions.KSTATUS.name))]
    done = subprocess.run(command, input=lines, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
