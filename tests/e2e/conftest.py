"""The cluster of all end-to-end tests: up, with this checkout's images and chart, and models in its bucket."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from demo import models, place
from demo.models import Models
from demo.objects import Objects
from demo.place import Place


@pytest.fixture(scope="session")
def known() -> Models:
    """The five versions of the story."""
    return models.train()


@pytest.fixture(scope="session")
def build() -> str:
    """The cluster is up and has this checkout's images; the name of this build of the operator."""
    return place.bring_up(os.environ.get("CONTEXT", ""))


@pytest.fixture(scope="session")
def stage(build: str) -> Place:
    """The cluster with this checkout's chart installed."""
    where = place.find(os.environ.get("CONTEXT", ""), "e2e")
    place.install(where, build)
    return where


@pytest.fixture(scope="module")
def furnished(stage: Place, known: Models) -> Iterator[Callable[[str], Place]]:
    """Makes namespaces with credentials and no ModelDeployment; they go when the module is over."""
    made: list[Place] = []

    def make(name: str) -> Place:
        where = replace(stage, namespace=f"e2e-{name}")
        place.furnish(where, known)
        place.clear(where)
        made.append(where)
        return where

    yield make
    for where in made:
        where.kubectl.run("delete", "namespace", where.namespace, "--wait=false")


@pytest.fixture
def objects_in() -> Callable[[Place], Objects]:
    """The ModelDeployments of a namespace."""
    return lambda where: Objects(where.kubectl, where.namespace)
