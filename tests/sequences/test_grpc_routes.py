"""gRPC is led by its path where a runtime speaks it."""

from simulation import models, rules
from simulation.stories import reach, upgrade
from simulation.ways_in import (
    BETA,
    PREVIEW,
    SHOWN,
    all_paths,
    calls,
    route,
    speaking,
)
from simulation.world import World


def test_grpc_is_divided_as_rest_is_where_the_runtime_speaks_it() -> None:
    world = all_paths(grpc=True)
    assert calls(world) == {"v1"}
    assert world.status()["address"]["grpc"] == "fraud.example.com:80"
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert [rule["name"] for rule in route(world)["rules"]] == ["rest", "grpc", "candidate", "candidate-grpc"]
    weights = [{item["name"]: item["weight"] for item in rule["backendRefs"]} for rule in route(world)["rules"][:2]]
    assert weights[0] == weights[1]
    assert {item["port"] for item in route(world)["rules"][1]["backendRefs"]} == {8001}
    assert calls(world, **BETA) == {"v2"}
    world.run_to_phase("Healthy")
    assert calls(world) == {"v2"}


def test_without_a_port_for_grpc_nothing_but_rest_is_routed() -> None:
    world = all_paths(grpc=False)
    assert [rule["name"] for rule in route(world)["rules"]] == ["rest"]
    assert "grpc" not in world.status()["address"]


def test_paths_of_the_model_alone_lead_no_grpc() -> None:
    world = World()
    speaking(world, grpc=True)
    world.apply(models.spec("v1"))
    world.run_to_phase("Healthy")
    assert calls(world) == set()
    assert world.status()["address"]["grpc"] == "fraud.payments.svc:8001"


def test_a_candidate_that_no_longer_speaks_grpc_gets_none_of_it() -> None:
    world = all_paths(grpc=True)
    speaking(world, grpc=False)
    upgrade(world, "v2", runtime={"refresh": "1"})
    reach(world, 1, "Holding")
    assert world.weights() == {"v1": 50, "v2": 50}
    assert calls(world) == calls(world, **BETA) == {"v1"}
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "", ""]


def test_a_candidate_that_alone_speaks_grpc_gets_it_with_the_promotion() -> None:
    world = all_paths(grpc=False)
    speaking(world, grpc=True)
    upgrade(world, "v2", runtime={"refresh": "1"})
    reach(world, 1, "Holding")
    assert "grpc" not in [rule["name"] for rule in route(world)["rules"]]
    assert calls(world, **BETA) == {"v2"}
    world.run_to_phase("Healthy")
    assert calls(world) == {"v2"}


def test_a_preview_leads_grpc_too() -> None:
    world = all_paths(grpc=True, rollout=SHOWN)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.answers(host=PREVIEW, path=rules.GRPC) == {"v2"}
    assert calls(world) == {"v1"}
