"""A platform that keeps connections open, and tells each caller its own name."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any


class KeepAlivePlatform:
    """Responds to a listing of registrations with the header ``x-who`` as its next cursor.

    Attributes:
        url: its URL on loopback.
        opened: the number of connections that were opened.
        open: the number of connections that are open.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.open = 0
        platform, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with lock:
                    platform.opened += 1
                    platform.open += 1

            def finish(self) -> None:
                super().finish()
                with lock:
                    platform.open -= 1

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                if self.path.endswith("/stream"):
                    self._stream()
                    return
                who = self.headers.get("x-who", "")
                time.sleep(0.5 if who.startswith("slow") else 0.0)
                page = {"workflow_registrations": [], "workflow_versions": [], "next_cursor": who}
                self._respond(page)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._respond({"workflow_name": "w", "execution_id": "e", "status": "RUNNING"})

            def _respond(self, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    def __enter__(self) -> KeepAlivePlatform:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
