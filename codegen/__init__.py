"""Generates the sync twin of the async code; a development tool, not part of the wheel."""
