"""The demo's program: set the stage, play the acts under constant load, count the losses, say what to try next."""

import argparse
import asyncio
import os
import time
from datetime import UTC, datetime

from cluster import shell
from demo import manifests, models, place, screen
from demo.load import Load, until_answered
from demo.manifests import Pace
from demo.models import Models
from demo.objects import StoryError
from demo.place import Place
from demo.screen import Screen
from demo.story import ACTS, Act, Story
from modelway.cli import view
from modelway.cli.exits import Failure
from modelway.cli.objects import Model

NAMESPACE = "demo"
_WINDOW_SECONDS = 4.0


def main(words: list[str]) -> int:
    """Run the demo; 0 when the story came to its end and not one request failed."""
    found = _parser().parse_args(words)
    shown = Screen()
    try:
        if found.command == "down":
            place.take_down(found.context)
            return 0
        return _play(shown, found.context, found.rate)
    except (shell.ClusterError, StoryError, Failure) as failure:
        shown.trouble(str(failure))
        return 1
    except KeyboardInterrupt:
        shown.say("\nStopped; the cluster stays up. `make demo` begins again, `make demo-down` removes it.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("up", "down"), default="up")
    parser.add_argument("--context", default=os.environ.get("CONTEXT", ""), help="use the cluster of this context")
    parser.add_argument("--rate", type=float, default=40, help="predictions per second")
    return parser


def _play(shown: Screen, context: str, rate: float) -> int:
    where, known = _set_stage(shown, context)
    load = Load(where.target(), known, per_second=rate)
    asyncio.run(_acts(shown, where, load))
    return _end(shown, where, load)


def _set_stage(shown: Screen, context: str) -> tuple[Place, Models]:
    """Cluster, images, operator and models."""
    shown.act(
        "A Kubernetes to play on",
        "A real one-node cluster with a gateway and an S3 server; the first time, its parts are built (minutes).",
        "make cluster",
    )
    build = place.bring_up(context)
    where = place.find(context, NAMESPACE)
    shown.fact(f"cluster up, gateway at {where.gateway.address}, models at {where.storage.endpoint_on_host}")
    shown.act("The operator", "One Helm chart: CRDs, operator, rights.", f"helm {' '.join(_short_install())}")
    place.install(where, build)
    shown.fact("the operator is ready")
    shown.act(
        "Five versions of a model",
        "Trained now, on half of the iris data set; the other half asks the questions. Then uploaded.",
        f"aws s3 cp iris/ s3://{where.storage.bucket}/iris/ --recursive",
    )
    known = models.train()
    place.furnish(where, known)
    place.clear(where)
    place.write_manifests(where, known, Pace())
    for version in known.versions:
        right = "cannot be loaded" if version.accuracy is None else f"{version.accuracy:.0%} right on unseen flowers"
        shown.fact(f"version {version.name}: {version.story}; {right}")
    shown.fact(f"a manifest for each lies in {where.folder}")
    return where, known


def _short_install() -> tuple[str, ...]:
    return tuple("charts/modelway" if word == str(place.CHART) else word for word in place.install_words())


async def _acts(shown: Screen, where: Place, load: Load) -> None:
    """The first act serves the model; from then on the load never stops."""
    witness = _Showing(shown, load)
    told = Story(where, load, witness)
    first, *others = ACTS
    probe = asyncio.create_task(until_answered(where.target()))
    await _act(shown, told, first)
    shown.fact(f"the first prediction was answered {await probe:.1f} s after `kubectl apply`")
    shown.fact(f"from here on predictions are asked for all the time, at {where.target().host}")
    async with load.running():
        for act in others:
            await _act(shown, told, act)
            _show_result(shown, told, witness, act)


async def _act(shown: Screen, told: Story, act: Act) -> None:
    shown.act(act.title, act.sentence, act.command)
    began = time.monotonic()
    await act.play(told)
    shown.fact(f"done in {time.monotonic() - began:.1f} s")


def _show_result(shown: Screen, told: Story, witness: "_Showing", act: Act) -> None:
    """What is worth a look after the act."""
    if act.play is Story.canary:
        for step in told.steps:
            share = step.from_candidate / step.answers if step.answers else 0
            part = f"{step.from_candidate} of {step.answers} answers ({share:.1%})"
            shown.fact(f"at {step.weight} % version 2 gave {part}")
        return
    if act.play in (Story.refuse, Story.break_off, Story.judge) and witness.model:
        shown.say(f"   {shown.paint.faint('$')} kubectl modelway status {manifests.MODEL} -n {NAMESPACE}")
        shown.quote(view.page(witness.model, datetime.now(UTC), shown.paint))


class _Showing:
    """Keeps the live line up to date with weights and with who really answered."""

    def __init__(self, shown: Screen, load: Load) -> None:
        self._shown = shown
        self._load = load
        self.model: Model | None = None
        self._newest = ""

    def saw(self, model: Model) -> None:
        self.model = model
        self._shown.live(f"{self._weights(model):<25}  {self._answers()}  {_state(model)}")

    async def reached(self, point: str) -> None:
        """The demo has nothing to do at a point; the live line goes on."""

    def _weights(self, model: Model) -> str:
        versions = {item.name: item.version or "?" for item in model.status.revisions}
        shares = [
            f"v{versions.get(share.revision, '?')} {share.programmed_weight or 0} %"
            for share in model.status.traffic
            if share.programmed_weight
        ]
        return "weights " + (" · ".join(sorted(shares)) or "–")

    def _answers(self) -> str:
        counted = self._load.shares(time.monotonic() - _WINDOW_SECONDS)
        if not counted:
            return "no answers yet"
        self._newest = max(self._newest, *counted)
        parts = (f"v{version} {count / counted.total():.0%}" for version, count in sorted(counted.items()))
        full = screen.bar(counted[self._newest] / counted.total())
        who = f"answers {' · '.join(parts)}"
        return f"{who:<23} {full}  {self._load.total} asked, {len(self._load.lost)} failed "


def _state(model: Model) -> str:
    rollout = model.active
    return f"{model.status.phase}" + (f", {rollout.step_state}" if rollout else "")


def _end(shown: Screen, where: Place, load: Load) -> int:
    """The count, and what to try next."""
    counted = load.shares(0)
    by_version = ", ".join(f"{count} from version {version}" for version, count in sorted(counted.items()))
    shown.say(f"\n{shown.paint.strong('━━ The count')}")
    if load.lost:
        shown.trouble(f"{len(load.lost)} of {load.total} predictions failed; the first: {load.lost[0].what}")
        return 1
    shown.fact(f"{load.total} predictions asked, {counted.total()} answered ({by_version}), 0 failed")
    for version in sorted(counted):
        shown.fact(f"version {version} was right in {load.accuracy(version):.1%} of its answers")
    shown.say(f"\n{shown.paint.strong('━━ What to try next')}  the cluster stays up")
    for line in _suggestions(where):
        shown.say(f"   {line}")
    return 0


def _suggestions(where: Place) -> tuple[str, ...]:
    name = f"{manifests.MODEL} -n {NAMESPACE}"
    return (
        *place.shell_lines(where),
        "",
        "# What serves, what failed, what next:",
        f"kubectl modelway status {name}",
        f"kubectl get mdep,pods,httproute -n {NAMESPACE}",
        "# The canary again, steered by hand:",
        f"kubectl apply -f {where.manifest('2')}",
        f"kubectl modelway pause {name}     # or promote, promote --full, abort, resume",
        f"kubectl modelway status {name} --watch",
        "# One prediction:",
        f"curl -s -H 'Host: {where.target().host}' {where.target().url} -d '{_question()}'",
        "# Remove everything:",
        "make demo-down",
    )


def _question() -> str:
    return str(models.request(models.TYPICAL[1])).replace("'", '"')
