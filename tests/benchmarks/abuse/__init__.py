"""What a hostile caller can do to the runtime: `make bench-abuse`."""
