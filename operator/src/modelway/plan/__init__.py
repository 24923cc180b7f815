"""Decisions, pure: what was observed goes in, what to do and when to look again comes out."""
