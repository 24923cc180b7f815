"""Builds the runtime image for linux/arm64 under emulation, lets it serve a model and asks that."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from arm64 import base_image, emulation
from cluster import buildah, packages, paths, progress, shell, tools
from cluster.images import version
from cluster.versions import PACKAGES
from demo import models

PLATFORM = "--arch=arm64"
PORT = 18080
"""On the loopback of this machine, whose network the container shares."""
_SERVE = """
modelway-runtime serve /model --port "$1" --metrics-port 0 --grpc-port 0 >&2 &
/opt/modelway/bin/python -c "$2" "http://127.0.0.1:$1/v2" "$3"
kill $!
wait $!
"""
_ASK = """
import json, platform, sys, time, urllib.request

url, body = sys.argv[1], sys.argv[2].encode()


def answer(path, data=None):
    asked = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as response:
        return response.read()


for _ in range(1800):
    try:
        answer("/health/ready")
        break
    except OSError:
        time.sleep(0.1)
outputs = json.loads(answer("/models/model/infer", body))["outputs"]
print(json.dumps([platform.machine(), next(output["data"] for output in outputs if output["name"] == "label")]))
"""


def main() -> int:
    """Say what the image is and answered; another answer than the model's own is a failure."""
    packages.ensure(PACKAGES)
    with tools.locked("images"):
        base_image.ensure()
        image = _image()
        with progress.step("build", image.reference):
            shell.run(_emulated(buildah.build_command(image, PLATFORM)))
    known = models.train()
    with progress.step("ask", image.reference):
        machine, label = _asked(image, known)
    described = json.loads(shell.run(buildah.command("inspect", "--type=image", image.reference)))["OCIv1"]
    expected = _expected(known)
    print(f"{image.reference} is for {described['architecture']}; on {machine} it answers {label}, here {expected}")
    return int((described["architecture"], machine, label) != ("arm64", "aarch64", expected))


def _expected(known: models.Models) -> list[int]:
    """What the model answers on this machine."""
    rows = np.array(known.flowers[:1], np.float32)
    session = onnxruntime.InferenceSession(known.versions[1].file)
    found: list[int] = session.run(["label"], {models.INPUT: rows})[0].tolist()
    return found


def _image() -> buildah.Recipe:
    context = paths.REPOSITORY / "runtime-image"
    return buildah.Recipe(
        reference=f"localhost/modelway-runtime-arm64:{version(context / 'pyproject.toml')}",
        dockerfile=context / "Dockerfile",
        context=context,
        digest="",
        arguments=(("BASE_IMAGE", base_image.REFERENCE),),
    )


def _emulated(command: Sequence[str]) -> tuple[str, ...]:
    """A command of buildah; overlays in a user namespace keep their marks where its root may write them."""
    name, *words = command
    return emulation.command(name, "--storage-opt", "overlay.mountopt=userxattr", *words)


def _asked(image: buildah.Recipe, known: models.Models) -> tuple[str, list[int]]:
    """The machine that the answer was computed on, and the answer."""
    container = shell.run(_emulated(buildah.command("from", image.reference))).strip()
    body = json.dumps(models.request(known.flowers[0]))
    try:
        with tempfile.TemporaryDirectory(prefix="modelway-arm64-") as folder:
            model = Path(folder) / "model.onnx"
            model.write_bytes(known.versions[1].file)
            options = ("--isolation=chroot", "--network=host", "--user=0", f"--volume={folder}:/model:ro")
            words = ("sh", "-c", _SERVE, "sh", str(PORT), _ASK, body)
            said = shell.run(_emulated(buildah.command("run", *options, container, "--", *words)))
    finally:
        shell.run(buildah.command("rm", container))
    machine, label = json.loads(said)
    return machine, label


if __name__ == "__main__":
    sys.exit(main())
