"""Models on their way to a cluster: as artifacts of a registry, or with an image that has their packages."""
