"""Modelway: machine-learning models on Kubernetes, changed safely."""

__version__ = "0.1.0"
