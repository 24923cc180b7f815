"""The report of the runtime's speed: `make bench-runtime`."""
