"""One file on its way: its parts come over several connections, each goes on where it was cut, and the hash is right.

The hash is taken in order from the file as it lies on the volume, behind the parts that are complete; so it says what
is there, not what was sent.
"""

import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from modelway_runtime.fetch.patience import Patience, Progress
from modelway_runtime.fetch.source import WHOLE, Changed, Entry, Reading, Source, Span, Transient

PART = 16 << 20
"""Bytes of a part: large beside the cost of asking, small beside what a cut loses."""

_HASHED_AT_ONCE = 1 << 20
_ATTEMPTS_IN_PARTS = 3
"""Servers behind one name may each call the same file by another version; one answer is of one file in any case."""


@dataclass(slots=True)
class Reached:
    """How far a file came: for each part's start the first byte that is missing. It belongs to one version."""

    size: int | None = None
    version: str = ""
    parts: dict[int, int] = field(default_factory=dict)


class _Stopped(Exception):
    """Another part failed; this one need not go on."""


class Transfer:
    """Brings one file to an open descriptor. What it reached outlives a failure and can be given to a later one."""

    def __init__(self, source: Source, entry: Entry, target: int, patience: Patience, progress: Progress) -> None:
        self._source = source
        self._entry = entry
        self._target = target
        self._patience = patience
        self._progress = progress
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self.reached = Reached(entry.size, entry.version)

    def go_on(self, reached: Reached) -> None:
        """Takes over what an earlier fetch left on the volume, if it is of the version that the store has now."""
        known = self.reached
        if known.version and (known.version, known.size) != (reached.version, reached.size):
            return
        self.reached = reached
        self._progress.add(sum(end - start for start, end in reached.parts.items()))

    def run(self, connections: int) -> str:
        """The sha256 in hex, once every byte is there."""
        for _ in range(_ATTEMPTS_IN_PARTS):
            try:
                return self._attempt(connections)
            except Changed as error:
                self._begin_again()
                self._patience.wait(error)
        return self._in_one_go(None)

    def _begin_again(self) -> None:
        self._forget()
        self._stopped.clear()
        self._failure = None
        self.reached = Reached()

    def _forget(self) -> None:
        self._progress.add(-self._progress.size)
        self.reached.parts.clear()

    def _attempt(self, connections: int) -> str:
        """In parts if the store can give them and says which version they are of, else in one go."""
        opened = None
        size = self.reached.size
        if size == 0:
            return hashlib.sha256().hexdigest()
        if size is None or not self.reached.version:
            first = Span(stop=PART) if size is None or size > PART else WHOLE
            opened = self._patience.tried(lambda: self._source.read(self._entry, first, ""))
            if not (opened.is_partial and opened.version and opened.size is not None):
                return self._in_one_go(_of_whole(opened))
            self.reached.size, self.reached.version = opened.size, opened.version
        self._progress.of = self.reached.size
        return self._in_parts(opened, connections)

    def _in_one_go(self, opened: Reading | None) -> str:
        """Each try begins at the first byte, since nothing says that the rest would be of the same file."""

        def once() -> str:
            nonlocal opened
            reading = opened or self._source.read(self._entry, WHOLE, "")
            opened = None
            self._forget()
            self._progress.of = reading.size
            hashing, offset = hashlib.sha256(), 0
            with closing(reading.pieces):
                for piece in reading.pieces:
                    self._write(piece, offset)
                    hashing.update(piece)
                    offset += len(piece)
            if reading.size not in (None, offset):
                raise Transient(f"{self._entry.path} ended after {offset} of {reading.size} bytes")
            os.ftruncate(self._target, offset)
            return hashing.hexdigest()

        return self._patience.tried(once)

    def _in_parts(self, opened: Reading | None, connections: int) -> str:
        size = self.reached.size or 0
        spans = [Span(start=start, stop=min(start + PART, size)) for start in range(0, size, PART)]
        if len(spans) == 1:
            self._fill(spans[0], opened)
            return self._hashed(spans, ())
        with ThreadPoolExecutor(connections, "part") as pool:
            parts = [pool.submit(self._part, span, None if span.start else opened) for span in spans]
            try:
                return self._hashed(spans, parts)
            except BaseException as error:  # noqa: BLE001 - it or its cause is raised again
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise self._failure or error from None

    def _part(self, span: Span, opened: Reading | None) -> None:
        """The first that fails stops the others, which say nothing of their own."""
        try:
            self._fill(span, opened)
        except BaseException as error:
            if not self._stopped.is_set():
                self._failure = error
                self._stopped.set()
            raise

    def _hashed(self, spans: list[Span], parts: "list[Future[None]] | tuple[()]") -> str:
        hashing = hashlib.sha256()
        buffer = memoryview(bytearray(_HASHED_AT_ONCE))
        for index, span in enumerate(spans):
            if parts:
                parts[index].result()
            offset, stop = span.start, span.stop or 0
            while offset < stop:
                count = os.preadv(self._target, [buffer[: stop - offset]], offset)
                if not count:
                    raise OSError(0, f"the file ends at byte {offset}")
                hashing.update(buffer[:count])
                offset += count
        return hashing.hexdigest()

    def _fill(self, span: Span, opened: Reading | None) -> None:
        """A part, in as many tries as it takes; each goes on behind the last byte that came."""
        stop = span.stop or 0
        reached = self.reached
        reached.parts.setdefault(span.start, span.start)

        def once() -> None:
            nonlocal opened
            offset = reached.parts[span.start]
            if offset == stop:
                return
            is_whole = offset == 0 and stop == reached.size
            asked = WHOLE if is_whole else Span(start=offset, stop=stop)
            reading = opened or self._source.read(self._entry, asked, reached.version)
            opened = None
            with closing(reading.pieces):
                self._check(reading, offset)
                for piece in reading.pieces:
                    if self._stopped.is_set():
                        raise _Stopped
                    kept = piece[: stop - offset]
                    self._write(kept, offset)
                    offset += len(kept)
                    reached.parts[span.start] = offset
                    if offset == stop:
                        return
            raise Transient(f"{self._entry.path} was cut at byte {offset} of {reached.size}")

        self._patience.tried(once)

    def _check(self, reading: Reading, offset: int) -> None:
        known = self.reached
        if reading.version != known.version or reading.size not in (None, known.size):
            raise Changed(f"{self._entry.path} was changed while it was fetched")
        if reading.start != offset:
            raise Changed(f"{self._entry.path} cannot be read from byte {offset} any more")

    def _write(self, piece: bytes, offset: int) -> None:
        self._progress.add(len(piece))
        view = memoryview(piece)
        while view:
            count = os.pwrite(self._target, view, offset)
            view, offset = view[count:], offset + count


def _of_whole(opened: Reading) -> Reading | None:
    """The answer, if it is the whole file's."""
    if opened.is_partial and (opened.size is None or opened.size > PART):
        opened.pieces.close()
        return None
    return opened
