"""The runtime image for another architecture: built and asked under emulation."""
