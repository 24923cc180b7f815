"""The demo's story under constant load: what kubectl shows at each point, who answered, and that nothing was lost."""

import asyncio
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo import place, portraits
from demo.load import Load
from demo.manifests import MODEL, Pace
from demo.models import Models
from demo.place import Place
from demo.story import ACTS, Step, Story
from modelway.cli.objects import Model

GOLDEN = Path(__file__).parent / "golden"
POINTS = ("serving", "canary-at-10", "canary-at-50", "promoted", "refused", "broken", "judged", "undone")
_RARE = 3.9
"""Standard deviations that a fair split stays within in 9,999 of 10,000 runs."""
_PATIENCE_SECONDS = 5
"""Events are written a moment after the status that they tell of. Shorter than a hold of the story."""


@dataclass
class Told:
    """What was seen while the story was told."""

    where: Place
    shown: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    model: Model | None = None

    def saw(self, model: Model) -> None:
        self.model = model

    async def reached(self, point: str) -> None:
        """Keep what kubectl shows now, or within seconds if that is what is expected."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            seen = await asyncio.to_thread(self._look, point)
            if time.monotonic() > end or all(_golden(view) == text for view, text in seen.items()):
                self.shown |= seen
                return

    def _look(self, point: str) -> dict[str, str]:
        assert self.model is not None
        hashes = {item.hash: str(item.number) for item in self.model.status.revisions if item.hash}
        return {f"{point}.{view}": paint(self._kubectl(view), hashes) for view, paint in _PAINTERS.items()}

    def _kubectl(self, view: str) -> str:
        return self.where.kubectl.run(view, "mdep", MODEL, f"--namespace={self.where.namespace}")


_PAINTERS = {"get": portraits.row, "describe": portraits.page}


def _golden(view: str) -> str:
    """What is expected; empty where nothing is yet."""
    path = GOLDEN / f"{view}.txt"
    return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def told(furnished: Callable[[str], Place], known: Models) -> Told:
    """The whole story, told once."""
    where = furnished("story")
    place.write_manifests(where, known, Pace())
    seen = Told(where=where)
    asyncio.run(_tell(seen, Load(where.target(), known, per_second=40)))
    return seen


async def _tell(seen: Told, load: Load) -> None:
    story = Story(seen.where, load, seen)
    first, *others = ACTS
    await first.play(story)
    async with load.running():
        for act in others:
            await act.play(story)
    seen.steps = story.steps
    seen.answers = dict(load.shares(0))
    seen.lost = [lost.what for lost in load.lost]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("view", _PAINTERS)
def test_kubectl_shows_the_point_of_the_story(told: Told, point: str, view: str) -> None:
    shown = told.shown[f"{point}.{view}"]
    if os.environ.get("UPDATE_GOLDEN") == "1":
        (GOLDEN / f"{point}.{view}.txt").write_text(shown)
    assert shown == _golden(f"{point}.{view}"), f"if this is wanted: UPDATE_GOLDEN=1 rewrites {point}.{view}.txt"


def test_not_one_request_fails(told: Told) -> None:
    assert told.lost == []


def test_what_was_refused_before_it_had_traffic_never_answered(told: Told) -> None:
    assert set(told.answers) == {"1", "2", "5"}


@pytest.mark.parametrize("index", [0, 1], ids=["10 %", "50 %"])
def test_the_share_of_answers_is_that_of_the_weight(told: Told, index: int) -> None:
    step = told.steps[index]
    share = step.weight / 100
    spread = _RARE * math.sqrt(share * (1 - share) / step.answers)
    assert abs(step.from_candidate / step.answers - share) <= spread, step


def test_kubectl_wait_agrees_that_it_was_undone_and_is_available(told: Told) -> None:
    scope = f"--namespace={told.where.namespace}"
    told.where.kubectl.run("wait", f"mdep/{MODEL}", scope, "--for=condition=Available", "--timeout=5s")
    told.where.kubectl.run("wait", f"mdep/{MODEL}", scope, "--for=condition=RolledBack", "--timeout=5s")
