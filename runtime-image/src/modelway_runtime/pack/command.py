"""`modelway-runtime pack`: a model into a registry, or the recipe of an image for its packages."""

from modelway_runtime import digest, formats
from modelway_runtime.pack import artifact, recipe
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
    if target:
        return artifact.run(path, target, model_format, environ)
    return recipe.run(path, command.existing(requirements), model_format, environ)
