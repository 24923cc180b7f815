"""Formats whose libraries are too large for the development environment, each tested in the image that serves it."""
