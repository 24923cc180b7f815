"""The gate: stands beside a server that is not ours, and does for it what it cannot do before it is ready."""
