"""A server with fixed responses, for behaviour that no real server can be made to show."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.servers.proxy import Head


class ScriptedServer:
    """Reads a request, responds with the given bytes and hangs up; without bytes it stays silent.

    The response says that the server hangs up. Otherwise a client that sends a second request at
    once may send it on the connection that is just being closed.

    Attributes:
        url: its URL on loopback.
        requests: heads and bodies of the requests read.
    """

    def __init__(self, answer: bytes | None) -> None:
        self.requests: list[tuple[Head, bytes]] = []
        self._answer = None if answer is None else _closing(answer)
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                with contextlib.suppress(OSError), connection.makefile("rb") as asked:
                    head = Head.read(asked)
                    if head is not None:
                        self.requests.append((head, b"".join(head.body(asked))))
                        if self._answer is not None:
                            connection.sendall(self._answer)
                            connection.shutdown(socket.SHUT_RDWR)


def _closing(answer: bytes) -> bytes:
    """Add ``Connection: close`` to a response that has a head."""
    status, end, rest = answer.partition(b"\r\n")
    if not (status.startswith(b"HTTP/1.") and end):
        return answer
    return b"\r\n".join((status, b"Connection: close", rest))
