"""An estimator for tests that answers only while a file exists, so that a test decides when an inference ends."""

import os
import threading
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class GatedModel(RegressorMixin, BaseEstimator):
    """Doubles its rows; waits at the gate named by MODELWAY_TEST_GATE; a 13 raises."""

    n_features_in_ = 1

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Waits, then doubles."""
        gate = os.environ.get("MODELWAY_TEST_GATE")
        while gate and not Path(gate).exists():
            threading.Event().wait(0.005)
        if 13.0 in rows:
            raise RuntimeError("thirteen")
        return rows[:, 0] * 2
