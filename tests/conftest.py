"""How Hypothesis searches: the same cases each time in CI, new ones at a desk."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("MODELWAY_EXAMPLES", "1")) * 100

settings.register_profile(
    "modelway",
    max_examples=EXAMPLES,
    # No test is timed; a machine under load is slow, not wrong.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
settings.load_profile("modelway")
