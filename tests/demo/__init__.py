"""The demo: a model served, canaried, protected and rolled back on a real Kubernetes."""
