"""Requests that boto3 has prepared once, repeated with another key, body and signature.

boto3 knows how to address and dress a request: host or path style, acceleration, access points,
encryption, storage class. Its ``before-send`` event shows the result, and may stand in for the
server, so that nothing is sent.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from mistral_offload.storage._s3_client import SIGNER
from mistral_offload.storage._s3_connections import DEFAULT_PORTS, Connections, empty_response
from mistral_offload.storage._s3_signatures import KnownDigestAuth, SigningKey, signable

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.signers import RequestSigner
    from mypy_boto3_s3 import S3Client

_NOT_REPEATED = frozenset(
    (
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "content-length",
        "host",
        "x-amz-checksum-sha256",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
    )
)
"""Headers of one request: its body, its signature, its number."""

_NOT_COMPARED = _NOT_REPEATED - {"content-length", "x-amz-checksum-sha256", "x-amz-content-sha256"}
_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=.*?/\d{8}/([^/,]+)/s3/aws4_request,")
_PROBE_HEADER = "x-mistral-offload-probe"


class NotRepeatableError(Exception):
    """Raised when requests of boto3 have to be left to boto3; the text is the reason."""


class RequestTemplate:
    """A prepared request, without its key, body and signature.

    Args:
        method: the HTTP method.
        base: the URL before the key.
        headers: those that every request has.
        region: the region it is signed for.
        signer: boto3's own, which also renews credentials.
    """

    def __init__(
        self,
        method: str,
        base: str,
        headers: Mapping[str, str],
        region: str,
        signer: RequestSigner,
    ) -> None:
        self.method = method
        self.region = region
        self._base = base
        self._path = f"/{base.split('/', 3)[3]}"
        self._headers = headers
        self._encoded = _encoded(headers)
        self._signable = signable(headers)
        self._signer = signer
        self._key = SigningKey()

    @property
    def is_encrypted(self) -> bool:
        """Return True for requests over TLS."""
        return self._base.startswith("https:")

    def sign(
        self, key: str, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> tuple[str, dict[str, bytes]]:
        """Return the URL and the headers of a request, signed for now.

        Args:
            key: key of the object.
            headers: further headers; a body is never read, and needs its checksum among them:
                with ``x-amz-checksum-sha256`` it is signed, with ``x-amz-checksum-crc32`` not.
            query: encoded query of the URL, with the leading "?".
        """
        return self._sign(self._auth(), key, headers or {}, query)

    def is_signed_as_by_botocore(self, key: str, headers: Mapping[str, str], query: str) -> bool:
        """Return True if botocore's own signature of a request is that of `sign`."""
        auth = self._auth()
        url = f"{self._base}{_quoted(key)}{query}"
        request = AWSRequest(self.method, url, {**self._headers, **headers})
        auth.add_auth(request)
        _, ours = self._sign(auth, key, headers, query, request.context["timestamp"])
        return _lowered(ours) == _lowered(request.headers)

    def _auth(self) -> KnownDigestAuth:
        """Return a signer with the credentials of this moment."""
        auth = self._signer.get_auth_instance("s3", self.region, SIGNER)
        return cast("KnownDigestAuth", auth)

    def _sign(
        self,
        auth: KnownDigestAuth,
        key: str,
        headers: Mapping[str, str],
        query: str,
        timestamp: str | None = None,
    ) -> tuple[str, dict[str, bytes]]:
        quoted = _quoted(key)
        signed = auth.sign(
            self.method,
            self._path + quoted,
            query[1:],
            {**self._signable, **signable(headers)},
            self._key,
            timestamp,
        )
        return (
            f"{self._base}{quoted}{query}",
            {**self._encoded, **_encoded(headers), **signed},
        )


def _quoted(key: str) -> str:
    return quote(key, safe="/~")


def part_query(number: int, upload: str) -> str:
    """Return the query of the URL that a part is uploaded to."""
    return f"?uploadId={quote(upload, safe='-_.~')}&partNumber={number}"


@dataclass(frozen=True)
class _Probe:
    """Values of a request that is prepared, and never sent."""

    key: str
    body: bytes
    upload: str = ""
    number: int = 0

    @property
    def digest(self) -> str:
        return base64.b64encode(hashlib.sha256(self.body).digest()).decode()


_PROBES = (
    _Probe("probe", b"1", "upload", 1),
    # With characters that are percent-encoded, and some that are not.
    _Probe("a//b c+ü~%2F:@.-_=&'(!", b"two", "a+/=-_.~ü", 22),
)


class TemplateLearner:
    """Learns the requests of a client for one bucket; create it before the client is shared.

    Args:
        client: the client; it must send its requests over ``connections``.
        connections: takes the prepared requests instead of sending them.
        bucket: the bucket of all requests.
        settings: further parameters of every put.
    """

    def __init__(
        self,
        client: S3Client,
        connections: Connections,
        bucket: str,
        settings: Mapping[str, Any],
    ) -> None:
        self._connections = connections
        self._thread = threading.local()

        def get(probe: _Probe) -> Any:
            return client.get_object(Bucket=bucket, Key=probe.key)

        def put(probe: _Probe) -> Any:
            return client.put_object(
                Bucket=bucket,
                Key=probe.key,
                Body=probe.body,
                ChecksumSHA256=probe.digest,
                **settings,
            )

        def upload(probe: _Probe) -> Any:
            return client.upload_part(
                Bucket=bucket,
                Key=probe.key,
                Body=probe.body,
                ChecksumSHA256=probe.digest,
                UploadId=probe.upload,
                PartNumber=probe.number,
            )

        self._calls: dict[str, Callable[[_Probe], Any]] = {
            "GetObject": get,
            "PutObject": put,
            "UploadPart": upload,
        }
        for operation in self._calls:
            client.meta.events.register_last(
                f"before-sign.s3.{operation}", cast("Any", self._note_signer)
            )

    def learn(self, operation: str) -> RequestTemplate:
        """Return the template of ``GetObject``, ``PutObject`` or ``UploadPart``.

        Two requests are prepared: one is repeated with the values of the other, and must equal it.

        Raises:
            NotRepeatableError: a hook responds to the requests or changes each in its own way, or
                they are not signed with SigV4 for the service ``s3``.
            BotoCoreError: there are no credentials.
        """
        first, second = (self._prepare(operation, probe) for probe in _PROBES)
        template = self._template(first, _PROBES[0].key)
        own = _of_probe(operation, _PROBES[1])
        if not template.is_signed_as_by_botocore(_PROBES[1].key, *own):
            raise NotRepeatableError("botocore signs its requests in another way")
        url, headers = template.sign(_PROBES[1].key, *own)
        if operation != "GetObject":
            headers["Content-Length"] = str(len(_PROBES[1].body)).encode()
        repeated = (template.method, _comparable_url(url), _comparable(headers))
        if repeated != (second.method, _comparable_url(second.url), _comparable(second.headers)):
            raise NotRepeatableError("its requests differ by more than key and body")
        return template

    def _prepare(self, operation: str, probe: _Probe) -> AWSPreparedRequest:
        prepared: list[AWSPreparedRequest] = []

        def respond(request: AWSPreparedRequest) -> AWSResponse:
            if not request.url.partition("?")[0].endswith(f"/{_quoted(probe.key)}"):
                raise NotRepeatableError("it needs sessions, or its URLs do not end with the key")
            prepared.append(request)
            return empty_response(request.url, {_PROBE_HEADER: operation})

        try:
            with self._connections.responding(respond):
                found = self._calls[operation](probe)
            answered = found["ResponseMetadata"]["HTTPHeaders"].get(_PROBE_HEADER) == operation
        except ClientError:
            answered = False
        if not (answered and prepared):
            raise NotRepeatableError("a hook responds to its requests")
        return prepared[0]

    def _template(self, prepared: AWSPreparedRequest, key: str) -> RequestTemplate:
        headers = _lowered(prepared.headers)
        signed = _SCOPE.match(headers.get("authorization", ""))
        if signed is None:
            raise NotRepeatableError("its requests are not signed with SigV4 for s3")
        return RequestTemplate(
            method=prepared.method,
            base=prepared.url.partition("?")[0].removesuffix(_quoted(key)),
            headers={
                # The signer and http.client would otherwise each find it for each request.
                "Host": _host(prepared.url),
                **{
                    name: _text(value)
                    for name, value in prepared.headers.items()
                    if name.lower() not in _NOT_REPEATED
                },
            },
            region=signed[1],
            signer=self._thread.signer,
        )

    def _note_signer(self, request_signer: RequestSigner, **_: object) -> None:
        self._thread.signer = request_signer


def _of_probe(operation: str, probe: _Probe) -> tuple[dict[str, str], str]:
    """Return the headers and the query that belong to a probe."""
    if operation == "GetObject":
        return {}, ""
    query = part_query(probe.number, probe.upload) if operation == "UploadPart" else ""
    return {"x-amz-checksum-sha256": probe.digest}, query


def _host(url: str) -> str:
    """Return the Host header of a request: without the port if it is the scheme's own."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    is_usual = parts.port in (None, DEFAULT_PORTS.get(parts.scheme))
    return host if is_usual else f"{host}:{parts.port}"


def _comparable_url(url: str) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", sorted(parse_qsl(parts.query))


def _comparable(headers: Any) -> dict[str, str]:
    return {name: text for name, text in _lowered(headers).items() if name not in _NOT_COMPARED}


def _lowered(headers: Any) -> dict[str, str]:
    return {name.lower(): _text(value) for name, value in headers.items()}


def _encoded(headers: Mapping[str, str]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in headers.items()}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
