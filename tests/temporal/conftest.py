"""Shares the Temporal server with the tests of workflows."""

from tests.workflows.conftest import temporal_target

__all__ = ["temporal_target"]
