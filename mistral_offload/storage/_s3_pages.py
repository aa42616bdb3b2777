"""Pages of a listing of S3, also of servers that do not say how it continues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mistral_offload.storage._s3_responses import IncompleteResponseError, reading_members
from mistral_offload.storage.store import BlobStat, Page

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PAGE_BLOBS = 1000


class Place(NamedTuple):
    """The place in a listing where a page begins.

    Attributes:
        kind: ``t`` for a token of the server; ``a`` for the key after which ListObjectsV2 begins;
            ``m`` for the key after which ListObjects, the first version, begins.
        text: the token or the key.
    """

    kind: str
    text: str

    @classmethod
    def of(cls, token: str) -> Place:
        """Return the place that the token of a `Page` names."""
        return cls(token[:1], token[1:])

    @property
    def token(self) -> str:
        """The place as the token of a `Page`."""
        return self.kind + self.text


def list_page(client: S3Client, bucket: str, prefix: str, token: str | None) -> Page:
    """Request a page of a listing: the first one, or that of the token.

    If the server says that the listing continues, but not how, the next page is what follows the
    last key: by ListObjectsV2, or by ListObjects if the server ignores the former's parameter.

    Raises:
        IncompleteResponseError: the page lacks a member, or the listing cannot be continued.
    """
    place = Place.of(token) if token else None
    found = _request(client, bucket, prefix, place)
    if place is not None and place.kind == "a" and not _follows(found, place.text):
        place = Place("m", place.text)
        found = _request(client, bucket, prefix, place)
    if place is not None and place.kind == "m" and not _follows(found, place.text):
        raise IncompleteResponseError(
            "the listing continues, but the server neither says how nor takes the last key"
        )
    blobs = _blobs(found)
    following = _following(found, blobs, is_first_version=place is not None and place.kind == "m")
    return Page(blobs, following.token if following else None)


def _request(client: S3Client, bucket: str, prefix: str, place: Place | None) -> Mapping[str, Any]:
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": _PAGE_BLOBS}
    kind = place.kind if place else ""
    with reading_members():
        if place is not None and kind == "m":
            return cast("Mapping[str, Any]", client.list_objects(**request, Marker=place.text))
        if place is not None:
            request[{"t": "ContinuationToken", "a": "StartAfter"}[kind]] = place.text
        return cast("Mapping[str, Any]", client.list_objects_v2(**request))


def _blobs(found: Mapping[str, Any]) -> list[BlobStat]:
    entries: list[dict[str, Any]] = found.get("Contents") or []
    try:
        return [BlobStat(entry["Key"], entry["Size"], entry["LastModified"]) for entry in entries]
    except KeyError as error:
        raise IncompleteResponseError(f"a blob has no {error.args[0]}") from None


def _following(
    found: Mapping[str, Any], blobs: list[BlobStat], *, is_first_version: bool
) -> Place | None:
    """Return the place of the next page, or None after the last."""
    token = found.get("NextContinuationToken")
    is_truncated = found.get("IsTruncated")
    if is_truncated is None:  # a full page may not be the last
        is_truncated = bool(token) or len(blobs) >= _PAGE_BLOBS
    if not is_truncated:
        return None
    if token and not is_first_version:
        return Place("t", token)
    if not blobs:
        raise IncompleteResponseError("the listing continues, but it has no NextContinuationToken")
    keys = [blob.key.encode() for blob in blobs]
    if keys != sorted(keys):  # what follows the last key would not be the rest
        raise IncompleteResponseError("the listing continues, but it has no token and no order")
    return Place("m" if is_first_version else "a", blobs[-1].key)


def _follows(found: Mapping[str, Any], key: str) -> bool:
    """Return True if every key of a page comes after a key."""
    after = key.encode()
    entries: list[dict[str, Any]] = found.get("Contents") or []
    keys = (str(entry.get("Key") or "") for entry in entries)
    return all(each.encode() > after for each in keys)
