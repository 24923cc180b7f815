"""Builders of manifests, pure: one file per kind."""
