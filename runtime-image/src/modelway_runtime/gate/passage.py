"""The way of a server to its first request, and whether it may have more: again from the start when it was gone."""

import asyncio

from modelway_runtime import logs, manifest
from modelway_runtime.gate import preparation
from modelway_runtime.gate.server import Lost, Server, Sight
from modelway_runtime.gate.settings import GateSettings
from modelway_runtime.golden import Golden
from modelway_runtime.reasons import Failure
from modelway_runtime.server.life import Life, Phase

_SECONDS = 1.0
"""Between two looks at the server."""


class Passage(Life):
    """Where the server is on its way; `seen` is what it said last."""

    def __init__(self, settings: GateSettings) -> None:
        super().__init__(Phase.LOADING)
        self.settings = settings
        self.seen = ""
        self.digest = _digest(settings)
        self._server = Server(settings)

    async def go(self) -> None:
        """Goes on for ever; raises Failure where the model does not pass."""
        requests = preparation.golden_requests(self.settings) if self.settings.asks else ()
        while True:
            self._enter(Phase.LOADING)
            await self._loaded()
            try:
                await self._prepared(requests)
            except Lost as lost:
                self._see(str(lost))
                await asyncio.sleep(_SECONDS)
                continue
            await self._followed()

    async def drained(self) -> None:
        """Not ready at once; the server goes on for a while, and when it is gone nobody needs the gate any more."""
        self._enter(Phase.DRAINING)
        logs.write("Draining", seconds=self.settings.drain)
        try:
            async with asyncio.timeout(self.settings.drain):
                while True:
                    sight, _ = await self._server.look()
                    if sight is Sight.GONE:
                        return
                    await asyncio.sleep(_SECONDS / 4)
        except TimeoutError:
            return

    async def _loaded(self) -> None:
        while True:
            sight, says = await self._server.look()
            self._see(says)
            if sight is Sight.READY:
                return
            await asyncio.sleep(_SECONDS / 4)

    async def _prepared(self, requests: tuple[Golden, ...]) -> None:
        if self.settings.warms:
            self._enter(Phase.WARMING)
            await preparation.warm(self._server, requests)
        if self.settings.asks:
            self._enter(Phase.VALIDATING)
            await preparation.validate(self._server, requests)
        self._enter(Phase.READY)
        logs.write("Model ready", name=self.settings.name, digest=self.digest)

    async def _followed(self) -> None:
        """As ready as the server says; returns when it was gone, since another one is as cold as the first.

        One that is too busy to answer in time has said nothing: whether it hangs is the kubelet's to find out.
        """
        while True:
            await asyncio.sleep(_SECONDS)
            sight, says = await self._server.look()
            self._see(says)
            if sight is Sight.GONE:
                return
            if sight is not Sight.UNSEEN:
                self._enter(Phase.READY if sight is Sight.READY else Phase.LOADING)

    def _enter(self, phase: Phase) -> None:
        if self.phase is not Phase.DRAINING and self.phase is not phase:
            self.phase = phase
            logs.write("Entered", state=phase)

    def _see(self, says: str) -> None:
        if says != self.seen:
            self.seen = says
            logs.write("Looked at the server", says=says)


def _digest(settings: GateSettings) -> str:
    """The digest of the fetched model; empty where nothing was fetched, as by hand."""
    try:
        return manifest.read(settings.model_path).digest
    except Failure:
        return ""
