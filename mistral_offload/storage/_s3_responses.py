"""Checks that successful responses are those of an S3 server, by headers and root element.

A sign-in page, a console's port or a health check responds 200 to everything, and so passes for a
server that has stored, listed or deleted what it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_ROOT = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*|<!--.*?-->\s*)*<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL
)

_ROOTS = {
    "ListObjects": re.compile(r"List\w*Result"),
    "ListObjectsV2": re.compile(r"List\w*Result"),
    "DeleteObjects": re.compile(r"Delete\w*Result"),
    "CreateMultipartUpload": re.compile(r"InitiateMultipartUploadResult"),
    "CompleteMultipartUpload": re.compile(r"CompleteMultipartUploadResult"),
    "CopyObject": re.compile(r"Copy\w*Result"),
}
"""Root elements of the responses with a document, by operation."""


class NotS3Error(Exception):
    """Raised for a response that no S3 server sends; the text says how it differs."""


class IncompleteResponseError(Exception):
    """Raised for a response of S3 that lacks a member, or cannot be read; the text says which."""


def check_responses(client: S3Client) -> None:
    """Let a client raise `NotS3Error` for a successful response that no S3 server sends."""
    client.meta.events.register("after-call.s3", cast("Any", _check_response))


def is_page(headers: Mapping[str, Any]) -> bool:
    """Return True if headers are those of a web page, and not of S3."""
    kind = str(headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return kind in _PAGE_TYPES and headers.get("Content-Length") != "0" and not _is_signed(headers)


def require_written(headers: Mapping[str, Any]) -> None:
    """Check the headers of the response to a put.

    Raises:
        NotS3Error: they are those of a web page, or not those of S3.
    """
    _require_any(headers, "ETag")


def require_object(headers: Mapping[str, Any]) -> None:
    """Check the headers of an object that was read.

    Raises:
        NotS3Error: they are those of a web page, or not those of an object.
    """
    _require_any(headers, "ETag", "Last-Modified")


def _require_any(headers: Mapping[str, Any], *names: str) -> None:
    if is_page(headers):
        raise NotS3Error("it sent a web page")
    if all(headers.get(name) is None for name in names) and not _is_signed(headers):
        raise NotS3Error(f"its response has no {names[0]} and no header of S3")


def member_of(found: Mapping[str, Any], name: str) -> Any:
    """Return a member of a response.

    Raises:
        IncompleteResponseError: the response does not have it.
    """
    value = found.get(name)
    if value is None:
        raise IncompleteResponseError(f"it has no {name}")
    return value


@contextmanager
def reading_members() -> Generator[None]:
    """Raise `IncompleteResponseError` for a number or a time that botocore cannot parse."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except ValueError as error:
        if isinstance(error, BotoCoreError):
            raise
        raise IncompleteResponseError("a number or a time in it cannot be read") from error


def require_document(method: str, status: int, headers: Mapping[str, Any], body: bytes) -> None:
    """Check a successful response before botocore parses it.

    Raises:
        NotS3Error: it is a web page, or other text.
    """
    if not 200 <= status < 300:
        return
    if (body or method == "HEAD") and is_page(headers):
        raise NotS3Error("it sent a web page")
    if body.strip() and not body.lstrip().startswith((b"<", b"\xef\xbb\xbf<")):
        raise NotS3Error("it sent no XML")


def _is_signed(headers: Mapping[str, Any]) -> bool:
    """Return True if a header is one of S3's own."""
    return any(name.lower().startswith("x-amz-") for name in headers)


def _check_response(http_response: Any, model: Any, **_: object) -> None:
    headers = http_response.headers
    if not 200 <= http_response.status_code < 300 or "x-mistral-offload-probe" in headers:
        return
    operation: str = model.name
    if operation == "HeadObject":
        _require_described(headers)
    elif operation in ("PutObject", "UploadPart"):
        require_written(headers)
    elif operation == "GetObject":
        require_object(headers)
    elif http_response.content and is_page(headers):
        raise NotS3Error("it sent a web page")
    elif operation in ("DeleteObject", "AbortMultipartUpload"):
        if http_response.status_code != 204 and not _is_signed(headers):
            raise NotS3Error(f"it responds {http_response.status_code} to a DELETE, not 204")
    elif operation in _ROOTS:
        _require_root(_ROOTS[operation], http_response.content)


def _require_described(headers: Mapping[str, Any]) -> None:
    if is_page(headers):
        raise NotS3Error("it sent a web page")
    if headers.get("ETag") is None and headers.get("Last-Modified") is None:
        raise IncompleteResponseError("it has neither ETag nor LastModified")


def _require_root(expected: re.Pattern[str], body: bytes) -> None:
    found = _ROOT.match(body)
    root = found[1].decode() if found else None
    if root is None:
        raise NotS3Error("it sent an empty document" if not body.strip() else "it sent no XML")
    if not expected.fullmatch(root):
        raise NotS3Error(f"it sent a document <{root[:40]}>")
