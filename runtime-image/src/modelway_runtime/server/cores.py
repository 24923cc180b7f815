"""Who runs the model, and how the CPUs that this process may use are shared out. Pure.

What nobody has said follows from the format. It was measured on two CPUs, see docs/runtimes.md:

- Code in Python keeps the interpreter's lock, and with it the event loop, so it runs in a process of its own. On one
  CPU that would cost more than it brings.
- Trees in boosters run in one thread each, and as many at a time as there are CPUs: the threads of OpenMP wait for each
  other at the end of every call, for whole time slices where the CPUs are not theirs alone.
- All others have one inference at a time, which uses all CPUs: a lone request is answered sooner, and requests that
  come meanwhile run together next, so nothing is lost under load.
"""

from dataclasses import replace

from modelway_runtime.settings import ServeSettings

_CODE = {"python"}
_TREES = {"xgboost", "lightgbm"}


def shared(settings: ServeSettings, library: str, cpus: int) -> ServeSettings:
    """The settings with numbers of threads, instances and workers; threads and instances do not exceed the CPUs.

    What is given comes first, and of instances and threads the threads. Workers may be more than the CPUs, since they
    are also wanted for safety; each then has one thread. `library` is the format of what runs the model.
    """
    workers = settings.workers
    if workers is None:
        workers = int(library in _CODE and cpus > 1)
    if workers:
        threads = settings.threads or max(1, cpus // workers)
        return replace(settings, threads=threads, instances=1, workers=workers)
    instances = settings.instances or (cpus // (settings.threads or 1) if library in _TREES else 1)
    threads = settings.threads or max(1, cpus // max(1, instances))
    return replace(settings, threads=threads, instances=max(1, min(instances, cpus // threads)), workers=0)
