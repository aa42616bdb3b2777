#!/usr/bin/env bash
# httpx reads the whole body of a redirect, also of a request that is sent with stream=True.
#
# Versions: httpx 0.28.1. Seen with CPython 3.11.
# One would guess: a streamed request reads no body before the caller asks for it.
# What happens: with follow_redirects=True the body of every redirect is read in full, decompressed
#   and kept in memory, before the final response is returned. Redirects that are followed one by
#   one, each closed unread, keep nothing.
# It matters because a limit that is applied while the returned response is read never sees them.
# Output seen:
#   one call: 5,000,000 bytes of the redirect were read and kept, none of the final body
#   one by one: 0 bytes of the redirect were kept
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1

"$folder/venv/bin/python" - <<'END'
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

SIZE = 5_000_000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            body = gzip.compress(bytes(SIZE))
            self.send_response(302)
            self.send_header("location", "/final")
            self.send_header("content-encoding", "gzip")
        else:
            body = b"final"
            self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/moved"

with httpx.Client() as client:
    request = client.build_request("GET", url)
    response = client.send(request, stream=True, follow_redirects=True)
    (redirect,) = response.history
    assert len(redirect.content) == SIZE
    assert not response.is_stream_consumed
    response.close()
    print(f"one call: {len(redirect.content):,} bytes of the redirect were read and kept, none of the final body")

    redirect = client.send(request, stream=True, follow_redirects=False)
    redirect.close()
    assert redirect.next_request is not None
    response = client.send(redirect.next_request, stream=True, follow_redirects=False)
    assert response.read() == b"final"
    try:
        kept = len(redirect.content)
    except httpx.ResponseNotRead:
        kept = 0
    assert kept == 0
    print(f"one by one: {kept} bytes of the redirect were kept")
server.shutdown()
END
