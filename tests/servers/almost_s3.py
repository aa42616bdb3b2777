"""A small S3 server in memory whose faults a test prescribes.

SeaweedFS has none of them, and no server has all: they are what servers and gateways are reported
to do.
"""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.servers.certificates import server_context

_MODIFIED = "Mon, 04 May 2026 10:00:00 GMT"


class Request(http.server.BaseHTTPRequestHandler):
    """One request; a test's function may respond to it in the server's place.

    Attributes:
        operation: name of the S3 operation.
        key: key of the object, or the empty string.
        query: parameters of the URL.
        body: the body.
    """

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def respond(
        self, status: int, body: bytes | str = b"", headers: dict[str, str] | None = None
    ) -> bool:
        """Send a response; return True."""
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        return True

    def refuse(self, status: int, code: str) -> bool:
        """Send an error response of S3; without a code, one without a body. Return True."""
        if not code:
            return self.respond(status)
        text = f"<Error><Code>{code}</Code><Message>m</Message></Error>"
        return self.respond(status, text, {"Content-Type": "application/xml"})

    def list_keys(self, after: str, *, token: bool = True, with_truncation: bool = True) -> bool:
        """Send a page of a listing, of the keys after a text. Return True."""
        keys = sorted(key for key in self.server.objects if key.startswith(self.query["prefix"]))
        rest = [key for key in keys if key > after]
        page = rest[: self.server.page_keys]
        more = len(rest) > len(page)
        entries = "".join(
            f"<Contents><Key>{quote(key, safe='/')}</Key><Size>1</Size>"
            "<LastModified>2026-05-04T10:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>" if with_truncation else ""
        following = f"<NextContinuationToken>t-{page[-1]}</NextContinuationToken>"
        return self.respond(
            200,
            f"<ListBucketResult><EncodingType>url</EncodingType>{truncated}"
            f"{following if more and token else ''}{entries}</ListBucketResult>",
            {"Content-Type": "application/xml"},
        )

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.key = unquote(parts.path).lstrip("/").partition("/")[2]
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.operation = self._operation()
        self.server.operations.append(self.operation)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if not self.server.fault(self):
            getattr(self, f"_{self.operation}")()

    def _operation(self) -> str:
        names = {
            ("GET", False): "list", ("GET", True): "get", ("HEAD", True): "head",
            ("PUT", True): "put", ("DELETE", True): "delete", ("POST", False): "delete_many",
        }  # fmt: skip
        if "uploads" in self.query:
            return "begin"
        if "uploadId" in self.query:
            return {"PUT": "part", "POST": "join", "DELETE": "abort"}[self.command]
        return names[self.command, bool(self.key)]

    def _put(self) -> None:
        if self.headers.get("If-None-Match") == "*" and self.key in self.server.objects:
            self.refuse(412, "PreconditionFailed")
            return
        self.server.objects[self.key] = self.body
        self.respond(200, b"", {"ETag": f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'})

    def _get(self) -> None:
        if self.key not in self.server.objects:
            self.refuse(404, "NoSuchKey")
            return
        headers = {"ETag": '"e"', "Last-Modified": _MODIFIED}
        self.respond(200, self.server.objects[self.key], headers)

    def _head(self) -> None:
        if self.key not in self.server.objects:
            self.respond(404)
            return
        self._get()

    def _delete(self) -> None:
        self.server.objects.pop(self.key, None)
        self.respond(204)

    def _delete_many(self) -> None:
        for key in re.findall(r"<Key>(.*?)</Key>", self.body.decode()):
            self.server.objects.pop(key, None)
        self.respond(200, "<DeleteResult></DeleteResult>")

    def _list(self) -> None:
        self.list_keys(self.query.get("continuation-token", "t-")[2:])

    def _begin(self) -> None:
        self.server.parts.clear()
        self.respond(
            200,
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        )

    def _part(self) -> None:
        number = int(self.query["partNumber"])
        self.server.parts[number] = self.body
        checksums = {
            name: value
            for name, value in self.headers.items()
            if name.lower().startswith("x-amz-checksum-")
        }
        self.respond(200, b"", {"ETag": f'"{number}"', **checksums})

    def _join(self) -> None:
        if self.headers.get("If-None-Match") == "*" and self.key in self.server.objects:
            self.refuse(412, "PreconditionFailed")
            return
        parts = (data for _, data in sorted(self.server.parts.items()))
        self.server.objects[self.key] = b"".join(parts)
        self.respond(
            200, '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'
        )

    def _abort(self) -> None:
        self.respond(204)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve


Fault = Callable[[Request], object]
"""Responds to a request and returns True, or returns a false value."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.operations: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.page_keys = 1_000
        self.fault: Fault = lambda _: False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client may hang up."""


class AlmostS3:
    """Serves one bucket of any name, with a fault; stopped at the end of the ``with`` statement.

    Args:
        fault: the fault; None for a server without one.
        page_keys: keys on a page of a listing.
        certificate: certificate and key, to serve TLS; None for plain HTTP.

    Attributes:
        url: its URL on loopback.
        objects: the stored bytes by key.
        operations: the operations requested so far.
        headers: their headers, with lower-case names.
    """

    def __init__(
        self,
        fault: Fault | None = None,
        *,
        page_keys: int = 1_000,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self._server = _Server()
        if fault is not None:
            self._server.fault = fault
        self._server.page_keys = page_keys
        self.objects = self._server.objects
        self.operations = self._server.operations
        self.headers = self._server.headers
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            # The handshake takes place at the first read, in the thread of the connection.
            self._server.socket = server_context(certificate).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> AlmostS3:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def counts(self) -> Counter[str]:
        """Count the requests by operation."""
        return Counter(self.operations)
