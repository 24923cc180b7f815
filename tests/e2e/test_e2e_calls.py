"""Predictions over gRPC through a real gateway, while a version comes and goes."""

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
import pytest

from demo import models, objects
from demo.models import Models
from demo.place import Place
from demo.street import street
from modelway_runtime.rpc.messages import SERVICE, message

RATE = 50
HALF = {
    "strategy": "Canary",
    "steps": [{"weight": 50, "approval": "Required"}],
    "settle": "1s",
    "drain": "3s",
    "bake": "0s",
}


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("calls")


class Calls:
    """Callers that ask at a constant rate."""

    def __init__(self, channel: grpc.aio.Channel, known: Models, name: str) -> None:
        self._ask = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=lambda asked: asked.SerializeToString(),
            response_deserializer=message("ModelInferResponse").FromString,
        )
        self._asked = itertools.cycle([_request(name, flower) for flower in known.flowers])
        self.answered: Counter[str] = Counter()
        """By version."""
        self.lost: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Calls"]:
        """Ask until the block ends."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_until(stop, group))
            yield self
            stop.set()

    async def until_answered(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = self.answered.total() + count
        while self.answered.total() < wanted:
            assert not self.lost
            await asyncio.sleep(1 / RATE)

    async def _ask_until(self, stop: asyncio.Event, group: asyncio.TaskGroup) -> None:
        while not stop.is_set():
            group.create_task(self._one(next(self._asked)))
            await asyncio.sleep(1 / RATE)

    async def _one(self, asked: Any) -> None:
        try:
            answer = await self._ask(asked, timeout=10)
        except grpc.aio.AioRpcError as error:
            self.lost.append(f"{error.code().name}: {error.details()}")
            return
        self.answered[answer.model_version] += 1


def _request(name: str, flower: Any) -> Any:
    (tensor,) = models.request(flower)["inputs"]
    asked = message("ModelInferRequest")(model_name=name)
    added = asked.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
    added.contents.fp32_contents.extend(tensor["data"])
    return asked


async def test_16_calls_are_divided_and_none_is_lost(where: Place, known: Models) -> None:
    target = where.target("called")
    options = [("grpc.default_authority", target.host)]
    async with (
        street(where, known, "called", HALF, per_second=20, traffic={"paths": "All"}) as seen,
        grpc.aio.insecure_channel(urlsplit(target.url).netloc, options=options) as channel,
        Calls(channel, known, "called").running() as calls,
    ):
        await calls.until_answered(RATE)
        assert set(calls.answered) == {"1"}
        seen.apply("2", HALF, traffic={"paths": "All"})
        await seen.until("it holds", functools.partial(objects.holds_step, 0))
        before = calls.answered.copy()
        await calls.until_answered(4 * RATE)
        shares = calls.answered - before
        assert set(shares) == {"1", "2"}
        assert min(shares.values()) > RATE
        await seen.say("promote", "called")
        await seen.until("version 2 serves", functools.partial(objects.serves, "2"))
        await calls.until_answered(RATE)
    assert calls.lost == []
