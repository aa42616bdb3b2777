"""What the REST API looks like; no I/O, so it is the same in both colours."""
