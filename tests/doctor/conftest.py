"""Making a client of boto3 is most of what an examination of a local server takes."""

from tests.storage.conftest import boto_models

__all__ = ["boto_models"]
