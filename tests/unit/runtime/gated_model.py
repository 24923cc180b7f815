"""An estimator for tests that answers only while a file exists, so that a test decides when an inference ends."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class GatedModel(RegressorMixin, BaseEstimator):
    """Doubles its rows; waits at the gate named by MODELWAY_TEST_GATE; 13 raises, 14 answers no text, 15 exits."""

    n_features_in_ = 1

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Waits, then doubles."""
        gate = os.environ.get("MODELWAY_TEST_GATE")
        while gate and not Path(gate).exists():
            threading.Event().wait(0.005)
        if 13.0 in rows:
            raise RuntimeError("thirteen")
        if 14.0 in rows:
            return np.array(["\ud800"], dtype=object)
        if 15.0 in rows:
            sys.exit(0)
        return rows[:, 0] * 2
