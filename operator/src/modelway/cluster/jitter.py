"""Chance that keeps many processes from acting at the same moment."""

import random


def spread(seconds: float, share: float) -> float:
    """`seconds`, at most `share` of it more or less."""
    return seconds * random.uniform(1 - share, 1 + share)
