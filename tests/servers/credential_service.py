"""A service that gives credentials, on loopback, as a test prescribes."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Sequence
from typing import Any

Response = tuple[int, str]
"""Status and body; status 0 hangs up without a response."""


class _Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        service = self.server.service
        with service.lock:
            service.paths.append(self.path)
            status, text = (
                service.faults.pop(0) if service.faults else service.give(self.path, body)
            )
        if status == 0:
            self.close_connection = True
            return
        data = text.encode()
        self.send_response(status)
        kind = "text/xml" if text.startswith("<") else "application/json"
        self.send_header("Content-Type", kind if text[:1] in ("<", "{") else "text/plain")
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = _serve


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    service: CredentialService

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client may hang up."""


class CredentialService:
    """Responds with its faults first, and then properly; stopped with the ``with`` statement.

    Args:
        give: returns the proper response to a path and a body.
        faults: the first responses.

    Attributes:
        url: its URL on loopback.
        paths: the paths requested so far.
    """

    def __init__(
        self, give: Callable[[str, str], Response], faults: Sequence[Response] = ()
    ) -> None:
        self.give = give
        self.faults = list(faults)
        self.paths: list[str] = []
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Request)
        self._server.service = self
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> CredentialService:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
