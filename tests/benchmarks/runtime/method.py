"""How it is measured, in the words of the page. Pure."""

_LINES = """\
All servers at once on core 0; `wrk` (one thread) or `h2load` (four streams to a connection) on core 1, one after the \
other. Rounds: {rounds}, of {seconds:g} s for each figure, after a second each to warm up.
Figures are medians of the rounds. Ratios are taken within each round; beside their median stand least and greatest. \
Where ratios are close, CPU for each request decides: it moves least. Designs are held to be equal within 5 %.
The same ONNX files through onnxruntime with one thread, one worker in each server. iris: logistic regression, 1 × 4. \
mlp: 256-1024-1024-10 in FP32, 1 × 256. V2 where the server speaks it, else JSON of its own.
Modelway with its defaults: limits, metrics, ids and batching on. Inline: the same, but each request is run at once \
on the event loop. MLServer with debug off; the others as their documents start them, access logs as they come.
Triton: the server in the wheel nvidia-pytriton, whose only backend is Python; tritonserver on PyPI holds bindings \
without a server. TorchServe: an empty class stands in for PyTorch, in its favour.
Liveness: asked every 10 ms over one connection, while eight callers wait for a model that computes for 200 ms on the \
same core.
Both load generators wait for answers, so p99 understates what an overloaded server does to callers.
"""


def lines(*, rounds: int, seconds: float) -> tuple[str, ...]:
    """A sentence or two each."""
    return tuple(_LINES.format(rounds=rounds, seconds=seconds).splitlines())
