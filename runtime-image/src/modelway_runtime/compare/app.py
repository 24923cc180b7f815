"""What the gateway mirrors to: takes inference requests and answers 202 before anything is asked."""

import asyncio
from functools import partial
from time import monotonic

from modelway_runtime.compare import mirrored
from modelway_runtime.compare.backlog import Backlog
from modelway_runtime.compare.settings import CompareSettings
from modelway_runtime.compare.tally import Tally
from modelway_runtime.compare.work import Work
from modelway_runtime.server import answers, body
from modelway_runtime.server.answers import CallerGone, Receive, Refused, Scope, Send
from modelway_runtime.server.life import Life, Phase

_ACCEPTED = 202
_LOOP = 508


class Application:
    """Answers health and takes what is mirrored."""

    def __init__(self, settings: CompareSettings, life: Life, tally: Tally, backlog: Backlog, work: Work) -> None:
        self._settings = settings
        self._life = life
        self._tally = tally
        self._backlog = backlog
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = answers.CLOSE if self._life.phase is Phase.DRAINING else ()
        try:
            status, payload = await self._answer(scope, receive)
        except CallerGone:
            return
        except Refused as refused:
            status, payload = refused.status, answers.encoded({"error": refused.message})
            headers += refused.headers
        if status == body.TOO_LARGE:
            await body.refuse(receive, send, answers.JSON + headers, payload)
            return
        await answers.send(send, status, answers.JSON + headers, payload)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        if scope["path"] == "/v2/health/live":
            return 200, b'{"live":true}'
        if scope["path"] == "/v2/health/ready":
            is_ready = self._life.phase is Phase.READY
            return 200 if is_ready else 503, answers.encoded({"ready": is_ready})
        await self._take(scope, receive)
        return _ACCEPTED, b"{}"

    async def _take(self, scope: Scope, receive: Receive) -> None:
        dialect = mirrored.dialect(scope)
        if dialect is None:
            self._tally.ignored("no-inference")
            return
        if mirrored.is_marked(scope):
            self._tally.ignored("marked")
            raise Refused(_LOOP, "this request comes from a comparator; it is not mirrored again")
        size = self._announced(scope)
        overload = self._backlog.enter(size, monotonic())
        if overload is not None:
            self._tally.dropped(overload)
            return
        leave = partial(self._backlog.leave, size)
        try:
            request = mirrored.mirrored(scope, await self._body(scope, receive), dialect)
        except BaseException:
            leave()
            raise
        self._work.put(request, leave)

    def _announced(self, scope: Scope) -> int:
        """How large a body can become: as its header says, else as large as may be."""
        length = body.header(scope, b"content-length")
        return min(int(length), self._settings.max_body_bytes) if length.isdigit() else self._settings.max_body_bytes

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                return await body.read(scope, receive, self._settings.max_body_bytes)
        except TimeoutError:
            self._tally.ignored("slow-body")
            raise Refused(408, "the body did not come in time", answers.CLOSE) from None
        except Refused:
            self._tally.ignored("body-size")
            raise
