"""`modelway-runtime digest PATH`: what to pin as `spec.model.digest`."""

from pathlib import Path

from modelway_runtime import digest
from modelway_runtime.reasons import Reason, UsageError
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome


def run(environ: Environ) -> Outcome:
    """Prints the digest on standard output."""
    path = Path(environ["MODELWAY_PATH"])
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    found, files = digest.of_path(path)
    print(found)
    return Outcome(reason=Reason.COMPLETED, message="", digest=found, size=sum(file.size for file in files))
