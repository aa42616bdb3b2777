"""Copies of an S3 object onto itself, which reset its age and keep all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mistral_offload.storage._s3_errors import http_status
from mistral_offload.storage._s3_responses import member_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KEPT_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "WebsiteRedirectLocation",
    "StorageClass",
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "BucketKeyEnabled",
)
"""Members of a HEAD response that a copy has to repeat to keep them."""


def copy_onto_itself(
    client: S3Client, bucket: str, key: str, found: Mapping[str, Any], *, conditionally: bool
) -> bool:
    """Copy an object with all that its HEAD response says of it, while it is the same one.

    Args:
        client: the client that sends the requests.
        bucket: the object's bucket.
        key: its key.
        found: the HEAD response.
        conditionally: False for a server that is known to refuse a condition on the target.

    Returns:
        False if client or server do not know such a condition.
    """
    request: dict[str, Any] = {
        "Bucket": bucket,
        "Key": key,
        "CopySource": {"Bucket": bucket, "Key": key},
        "CopySourceIfMatch": member_of(found, "ETag"),
        # S3 refuses a copy onto itself that replaces nothing.
        "MetadataDirective": "REPLACE",
        "Metadata": found.get("Metadata", {}),
        **{name: found[name] for name in _KEPT_HEADERS if found.get(name) is not None},
    }
    model: Any = client.meta.service_model.operation_model("CopyObject")
    if conditionally and "IfMatch" in model.input_shape.members:  # older ones have no such member
        try:
            client.copy_object(**request, IfMatch=found["ETag"])
            return True
        except client.exceptions.ClientError as error:
            if http_status(error) != 501:
                raise
    client.copy_object(**request)
    return False
