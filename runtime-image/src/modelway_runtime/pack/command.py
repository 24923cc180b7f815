"""`modelway-runtime pack`: a model into a registry, alone or with its server, or a recipe for an image."""

import os
from collections.abc import Mapping
from pathlib import Path

from modelway_runtime import digest, formats
from modelway_runtime.fetch import registry_keys
from modelway_runtime.pack import artifact, image, recipe
from modelway_runtime.reasons import UsageError
from modelway_runtime.server import command
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome

_WAYS = "oci://REGISTRY/NAME:TAG to push the model, or --requirements FILE to write an image for its packages"


def run(environ: Environ) -> Outcome:
    """Does one of both; what is no model is refused before."""
    path = command.existing(environ["MODELWAY_PATH"])
    target, requirements = environ.get("MODELWAY_PACK_TARGET", ""), environ.get("MODELWAY_REQUIREMENTS", "")
    if bool(target) == bool(requirements):
        raise UsageError(f"write {_WAYS}" + (", not both" if target else ""))
    if target and not target.startswith("oci://"):
        raise UsageError(f"{target} is no registry; write {_WAYS}")
    paths = tuple(file.path for file in digest.of_path(path)[1])
    model_format = environ.get("MODELWAY_MODEL_FORMAT") or formats.guess(paths)
    formats.find(paths, model_format)
    os.environ.update(_logged_in(environ))
    if target and environ.get("MODELWAY_BASE_IMAGE"):
        return image.run(path, target, model_format, environ)
    if target:
        return artifact.run(path, target, model_format, environ)
    return recipe.run(path, command.existing(requirements), model_format, environ)


def _logged_in(environ: Environ) -> Mapping[str, str]:
    """What `docker login` keeps, unless the environment says who we are."""
    if any(environ.get(name) for name in (registry_keys.USER, *registry_keys.NAMES)):
        return {}
    file = Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    return {registry_keys.NAMES[1]: file.read_text(encoding="utf-8")} if file.is_file() else {}
