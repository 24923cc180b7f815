"""Every state of some objects of one kind, as the API server tells it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import IO

from demo.manifests import Manifest
from demo.place import Place


@dataclass(slots=True)
class Watch:
    """What was seen so far, and when (monotonic seconds); the states that were there already come first."""

    seen: list[tuple[float, Manifest]] = field(default_factory=list)

    @property
    def states(self) -> list[Manifest]:
        """Without the moments."""
        return [state for _, state in self.seen]

    def read(self, stream: IO[str]) -> None:
        """Take one state after the other, to the end of the stream."""
        decoder, text = json.JSONDecoder(), ""
        for line in stream:
            text += line
            if line.rstrip() == "}":
                state, _ = decoder.raw_decode(text.lstrip())
                text = ""
                self.seen.append((time.monotonic(), state))


@contextmanager
def watching(where: Place, kind: str, *words: str) -> Iterator[Watch]:
    """`kubectl get KIND --watch`; `words` may name an object or select some."""
    scope = (f"--namespace={where.namespace}", "--watch", "--output=json")
    program = [*where.kubectl.command(), "get", kind, *words, *scope]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        found = Watch()
        assert process.stdout is not None
        reader = Thread(target=found.read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            yield found
        finally:
            process.terminate()
            process.wait(10)
            reader.join(10)
