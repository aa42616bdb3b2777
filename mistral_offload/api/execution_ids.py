"""Execution ids made by the client, so that every retry of a call names the same execution."""

from __future__ import annotations

import uuid
from urllib.parse import quote


def new_execution_id(workflow_identifier: str) -> str:
    """A fresh id of 64 hex digits whose first half tells the workflow, as on the platform."""
    fresh = uuid.uuid4().hex
    if "/" in workflow_identifier:  # not one path segment: the platform derives nothing from it
        return uuid.uuid4().hex + fresh
    seed = quote(workflow_identifier, safe="")
    return uuid.uuid5(uuid.NAMESPACE_DNS, seed).hex + uuid.uuid5(uuid.NAMESPACE_DNS, fresh).hex
