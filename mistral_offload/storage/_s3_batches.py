"""Deleting up to a thousand objects of a bucket in one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

UNKNOWN_TO_SERVER = ("NotImplemented", "MethodNotAllowed")
"""Codes of servers that delete one by one only."""

_BATCH_KEYS = 1000


def in_batches(keys: Sequence[str]) -> Iterator[list[str]]:
    """The keys in lots that one request can take."""
    rest = iter(keys)
    while batch := list(islice(rest, _BATCH_KEYS)):
        yield batch


def delete_batch(client: S3Client, bucket: str, keys: Sequence[str]) -> dict[str, str]:
    """Delete objects in one request; the codes of those that were refused, by key.

    Raises:
        ClientError: the request was refused as a whole.
    """
    answer = client.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
    )
    refused = {error.get("Key", ""): error.get("Code", "") for error in answer.get("Errors", ())}
    return {key: code for key, code in refused.items() if code != "NoSuchKey"}
