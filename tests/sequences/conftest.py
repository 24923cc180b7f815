"""Shared by the sequence tests: the marker for long runs, and Hypothesis without its clock."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "sequences", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("sequences")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the runs that only `make test-full` makes."""
    config.addinivalue_line("markers", "full: many more examples; only `make test-full` runs these")
