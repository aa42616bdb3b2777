"""Writes the blocking twin of the async code; a development tool, not part of the wheel."""
