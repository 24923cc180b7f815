"""Clients that others wrote, unmodified and each in an environment of its own, against a server that really runs."""
