"""Speeds up doctor's tests: most of their time would go into creating boto3 clients."""

from tests.storage.conftest import boto_models

__all__ = ["boto_models"]
