"""Why and how this process ends: the first reason counts."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


class Stop:
    """Set once; then `code` is the process' exit code."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.code = 0

    def request(self, code: int, why: str) -> None:
        """End the process in order."""
        if self._event.is_set():
            return
        self.code = code
        log.log(logging.ERROR if code else logging.INFO, "Stops: %s", why)
        self._event.set()

    def listen(self) -> None:
        """Stop on SIGTERM and SIGINT, also after something else has taken the signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request, 0, f"received {number.name}")

    async def wait(self) -> None:
        """Return when the process should end."""
        await self._event.wait()

    async def unless(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The work's result; None when the process should end before there is one."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._event.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await cancelled(task, stopped)

    def follow(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Run work that should never end in the background; when it does, so does the process."""
        task = self.background(work, what)
        task.add_done_callback(self._ended)
        return task

    def background(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Run work in the background; when it fails, the process ends."""
        task = asyncio.create_task(work, name=what)
        task.add_done_callback(self._failed)
        return task

    def _failed(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not self._event.is_set():
            log.error("%s failed", task.get_name(), exc_info=failure)
            self.request(1, f"{task.get_name()} failed")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.request(1, f"{task.get_name()} ended")


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are over; what they raise meanwhile is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
