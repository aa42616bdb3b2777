"""Shares boto3's models: creating a client is the slowest part of examining a local server."""

from tests.storage.conftest import boto_models

__all__ = ["boto_models"]
