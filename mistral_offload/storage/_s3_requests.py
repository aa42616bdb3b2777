"""Puts, gets and parts as signed requests, without boto3's work for each of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from mistral_offload._http_dates import parse_http_date
from mistral_offload.storage._s3_connections import Connections, as_botocore_errors, read_all
from mistral_offload.storage._s3_errors import may_refuse_unsigned
from mistral_offload.storage._s3_multipart import PartReader, UnsignedRefusedError
from mistral_offload.storage._s3_responses import is_page, require_object, require_written
from mistral_offload.storage._s3_templates import (
    NotRepeatableError,
    RequestTemplate,
    TemplateLearner,
    part_query,
)

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_s3 import S3Client
    from urllib3.response import BaseHTTPResponse

T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.storage")

_CRC32 = "x-amz-checksum-crc32"
_PART_CHECKSUMS = (("ChecksumSHA256", "x-amz-checksum-sha256"), ("ChecksumCRC32", _CRC32))


class SignedRequests:
    """A boto3 client's ``put_object``, ``get_object`` and ``upload_part``, with less work.

    They take the same arguments, except for the bucket, and raise the same errors; they return what
    a store needs. boto3 itself makes the requests that cannot be repeated (see `TemplateLearner`).
    It also gets every response that is not a success, as if it had sent the request: it raises its
    error, or follows the bucket to another region.

    Args:
        client: the client. All its requests take the connections.
        connections: where requests are sent; None leaves all of them to boto3.
        bucket: the bucket of all requests.
        settings: further parameters of every put.
    """

    def __init__(
        self,
        client: S3Client,
        connections: Connections | None,
        bucket: str,
        settings: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._connections = connections
        self._bucket = bucket
        self._settings = settings
        self._templates: dict[str, RequestTemplate | None] = {}
        self._lock = threading.Lock()
        s3: Mapping[str, Any] = cast("Any", client.meta.config).s3 or {}
        self._must_sign_bodies = bool(s3.get("payload_signing_enabled"))
        self._are_all_left = connections is None
        if connections is None:
            self._note_left("all requests", "its settings need its own connections")
            return
        # Behind every other handler of the event: the first response counts.
        client.meta.events.register_last("before-send", cast("Any", connections.respond))
        self._learner = TemplateLearner(client, connections, bucket, settings)
        with suppress(BotoCoreError):  # no credentials: that is for the first request to raise
            self._template("GetObject", "probe")

    def close(self) -> None:
        """Close the connections."""
        if self._connections is not None:
            self._connections.close()

    def put_object(self, *, Key: str, Body: bytes, **request: Any) -> None:
        """Put an object; ``IfNoneMatch`` is the only condition."""
        put = partial(
            self._client.put_object,
            Bucket=self._bucket,
            Key=Key,
            Body=Body,
            **request,
            **self._settings,
        )
        template = self._template("PutObject", Key)
        if template is None or "ChecksumSHA256" not in request:
            put()
            return
        headers = {"x-amz-checksum-sha256": request["ChecksumSHA256"]}
        if "IfNoneMatch" in request:
            headers["If-None-Match"] = request["IfNoneMatch"]
        response = self._send(template, Key, headers, Body)
        if response.status == 200:
            require_written(response.headers)
            _drain(response)
        elif response.status == 412 and not is_page(response.headers):  # common, and never shown
            _drain(response)
            raise ClientError(_precondition_failed(), "PutObject")
        else:
            self._hand_over(response, put)

    def get_object(self, *, Key: str) -> tuple[bytes, datetime | None]:
        """Read an object; return its bytes, and the time of its last write."""
        get = partial(self._client.get_object, Bucket=self._bucket, Key=Key)
        template = self._template("GetObject", Key)
        if template is None:
            return _read(get())
        response = self._send(template, Key)
        if response.status != 200:
            return _read(self._hand_over(response, get))
        require_object(response.headers)
        length = cast("Any", response.headers.get("Content-Length"))
        return _read(
            {
                "Body": StreamingBody(cast("Any", response), length),
                "LastModified": parse_http_date(response.headers.get("Last-Modified")),
            }
        )

    def sends_unsigned_parts(self, key: str) -> bool:
        """Return True if parts may go without a signature of their bytes: over TLS, as boto3's.

        False as well if ``payload_signing_enabled`` of AWS's configuration forbids it.
        """
        template = self._template("UploadPart", key)
        return template is not None and template.is_encrypted and not self._must_sign_bodies

    def upload_part(
        self,
        *,
        Key: str,
        Body: memoryview,
        **request: Any,
    ) -> Mapping[str, Any]:
        """Upload a part; return its ``ETag``.

        With ``ChecksumSHA256`` its bytes are signed, with ``ChecksumCRC32`` they are not.

        Raises:
            UnsignedRefusedError: the server refuses bytes that are not signed, or does not confirm
                their CRC32.
        """
        upload = partial(
            self._client.upload_part,
            Bucket=self._bucket,
            Key=Key,
            Body=cast("Any", PartReader(Body)),
            **request,
        )
        template = self._template("UploadPart", Key)
        headers = {header: request[name] for name, header in _PART_CHECKSUMS if name in request}
        if template is None or not headers:
            return upload()
        query = part_query(request["PartNumber"], request["UploadId"])
        response = self._send(template, Key, headers, Body, query)
        is_signed = "ChecksumCRC32" not in request
        if response.status != 200:
            try:
                return self._hand_over(response, upload)
            except ClientError as error:
                if is_signed or not may_refuse_unsigned(error):
                    raise
                raise UnsignedRefusedError from error
        require_written(response.headers)
        _drain(response)
        if not is_signed and response.headers.get(_CRC32) != request["ChecksumCRC32"]:
            # Neither a signature nor a checksum would protect the bytes behind the end of TLS.
            raise UnsignedRefusedError
        return {"ETag": response.headers.get("ETag")}

    def _send(
        self,
        template: RequestTemplate,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        query: str = "",
    ) -> BaseHTTPResponse:
        assert self._connections is not None  # noqa: S101 - else there are no templates
        url, signed = template.sign(key, headers, query)
        if body is None:
            return self._connections.send(template.method, url, signed)
        signed["Content-Length"] = str(len(body)).encode()
        return self._connections.send(template.method, url, signed, body)

    def _hand_over(self, response: BaseHTTPResponse, call: Callable[[], T]) -> T:
        """Let boto3 act on a response, as if it had made the request."""
        assert self._connections is not None  # noqa: S101 - it has sent the request

        waiting = [response]

        def respond(request: AWSPreparedRequest) -> AWSResponse | None:
            if not waiting:  # boto3 has repeated it
                return None
            raw = waiting.pop()
            found = AWSResponse(request.url, raw.status, cast("Any", raw.headers), raw)
            with as_botocore_errors(request.url):
                read_all(found)
            return found

        with self._connections.responding(respond):
            result = call()
        # boto3 has repeated it for another region, and prepares later requests for that one.
        with self._lock:
            self._templates.clear()
        return result

    def _template(self, operation: str, key: str) -> RequestTemplate | None:
        """Return the template of an operation; None if boto3 has to make the request."""
        if self._are_all_left or not _is_usual(key):
            return None
        if operation not in self._templates:
            with self._lock:
                if operation not in self._templates:
                    self._templates[operation] = self._learn(operation)
        return self._templates.get(operation)

    def _learn(self, operation: str) -> RequestTemplate | None:
        try:
            return self._learner.learn(operation)
        except NotRepeatableError as error:
            if operation == "GetObject":
                # What responds to this one may respond to all, such as a simulation in tests.
                self._leave_all(str(error))
            else:
                self._note_left(operation, str(error))
            return None

    def _leave_all(self, reason: str) -> None:
        """Leave every request, and the sending, to boto3."""
        assert self._connections is not None  # noqa: S101 - learning needs it
        self._are_all_left = True
        handler = cast("Any", self._connections.respond)
        self._client.meta.events.unregister("before-send", handler)
        self._note_left("all requests", reason)

    def _note_left(self, what: str, reason: str) -> None:
        _logger.debug("%s of s3 bucket %s: left to boto3: %s", what, self._bucket, reason)


def _is_usual(key: str) -> bool:
    """Return False if boto3 may refuse a key."""
    try:
        return bool(key.encode())
    except UnicodeEncodeError:
        return False


def _read(found: Mapping[str, Any]) -> tuple[bytes, datetime | None]:
    body: StreamingBody = found["Body"]
    try:
        with as_botocore_errors("the bucket"):
            return body.read(), found.get("LastModified")
    finally:
        body.close()


def _drain(response: BaseHTTPResponse) -> None:
    """Read the rest of a response, which frees its connection."""
    with as_botocore_errors(str(response.geturl())):
        response.drain_conn()


def _precondition_failed() -> Any:
    return {
        "Error": {"Code": "PreconditionFailed", "Message": "the key is taken"},
        "ResponseMetadata": {"HTTPStatusCode": 412},
    }
