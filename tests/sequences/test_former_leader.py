"""Two operators: one that was held up, and does not know yet that another one leads, changes nothing that matters."""

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.operator import Process
from simulation.server import Write
from simulation.stories import installed, serves_alone, upgrade
from simulation.world import World

SHORT = models.canary({"weight": 10, "hold": "20s"}, {"weight": 50, "hold": "20s"}, bake="30s")
ROLLOUTS = {"canary": SHORT, "tight": SHORT | {"maxSurge": 1}, "rolling": models.rolling()}
EITHER = pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])


def matters(write: Write) -> bool:
    """Whether it could lose a request or a decision: traffic, counts, status, or an object that comes or goes."""
    is_traffic = write.kind == kinds.HTTP_ROUTE or (write.kind == kinds.SERVICE and write.name == "fraud")
    return write.is_change and (is_traffic or write.verb in ("scale", "status", "create", "delete"))


def woken(world: World, former: Process) -> list[Write]:
    """What a former leader writes that acts on what it knew when it was held up."""
    before = len(world.server.writes)
    for _ in range(5):
        former.add({(models.NAMESPACE, "fraud")})
        former.reconcile(None)
    late = world.server.writes[before:]
    assert not world.oracle.violations, world.picture()
    return [write for write in late if matters(write)]


@EITHER
@pytest.mark.parametrize("name", ROLLOUTS)
@pytest.mark.parametrize("asleep", [1, 3, 8, 25])
def test_63_a_former_leader_that_wakes_up_changes_neither_traffic_nor_counts_nor_status(
    asleep: int, name: str, gateway: bool
) -> None:
    rollout: Manifest = ROLLOUTS[name] | {"coarseWeights": "Allow"}
    world = installed(rollout, gateway=gateway, replicas=3)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    while world.status()["phase"] != "Healthy" or world.rollout()["id"] != 2:
        former = world.process
        world.crash()
        begun = len(world.server.writes)
        world.run_for(asleep)
        is_behind = any(write.is_change for write in world.server.writes[begun:])
        late = woken(world, former)
        assert not (is_behind and late), [world.log_of(write.number) for write in late]
    world.run_for(120)
    serves_alone(world, "v2", 3)
    assert [line["outcome"] for line in world.status()["history"]] == ["Promoted", "Promoted"]
