"""Processes that hold the model in place of the server: what crosses between them, and both of its ends."""
