"""Fixtures of the lifecycle tests."""

from tests.storage.conftest import boto_models

__all__ = ["boto_models"]
