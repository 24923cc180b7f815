"""A Kubernetes cluster in memory, on a clock of its own, that the real reconciler runs against."""
