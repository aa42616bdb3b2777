"""Payload formats on the wire, and the execution each payload belongs to."""
