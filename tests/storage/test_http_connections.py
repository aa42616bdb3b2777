"""Small requests are sent in one packet, large ones whole, over HTTP and over TLS."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from mistral_offload.storage.s3 import S3Store
from tests.bounds import PATIENCE_SECONDS
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

KIB = 1024


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_of_any_size_arrives_whole(
    seaweed: Seaweed, seaweed_bucket: str, root: str, scheme: str
) -> None:
    settings: dict[str, Any] = {}
    if scheme == "https":
        settings = {"endpoint_url": seaweed.https_url, "ca_bundle": seaweed.ca_file}
    with S3Store(s3_config(seaweed, seaweed_bucket, root, **settings)) as store:
        for size in (0, 1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 272 * KIB, 5000 * KIB):
            data = bytes(range(256)) * (size // 256 + 1)
            assert store.put(f"{scheme}/{size}", data[:size]) is True
            assert store.get(f"{scheme}/{size}") == data[:size]


class Listener:
    """Accepts one connection, and responds to its first request; notes the packets of it."""

    def __init__(self, is_complete: Callable[[bytes], bool], pause: threading.Event) -> None:
        self.packets: list[bytes] = []
        self._is_complete, self._pause = is_complete, pause
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(PATIENCE_SECONDS)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            connection.settimeout(PATIENCE_SECONDS)
            assert self._pause.wait(PATIENCE_SECONDS)
            while not self._is_complete(b"".join(self.packets)):
                self.packets.append(connection.recv(1 << 20))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        self._server.close()


@pytest.mark.parametrize("body", [None, b"data", [b"first", b"second"]])
def test_the_head_of_a_request_waits_for_its_body(body: bytes | list[bytes] | None) -> None:
    from mistral_offload.storage._http_connections import POOLS, Parts

    end = b"".join(body) if isinstance(body, list) else body or b""
    pause = threading.Event()
    pause.set()
    listener = Listener(lambda received: received.endswith(b"\r\n\r\n" + end), pause)
    manager = urllib3.PoolManager(retries=False, timeout=PATIENCE_SECONDS)
    manager.pool_classes_by_scheme = POOLS
    sent: Any = Parts(*body) if isinstance(body, list) else body
    headers = {"Content-Length": str(len(end))}
    try:
        assert manager.request("PUT", listener.url, body=sent, headers=headers).status == 200
    finally:
        manager.clear()
        listener.close()
    assert len(listener.packets) == 1


def test_parts_that_fill_the_socket_are_sent_to_the_end() -> None:
    from mistral_offload.storage._http_connections import POOLS, Parts

    parts = [b"<", b"a" * 9_000_001, memoryview(b"b" * 7_000_003), b"", b">"]
    whole = b"".join(parts)
    pause = threading.Event()
    listener = Listener(
        lambda received: len(received.partition(b"\r\n\r\n")[2]) >= len(whole), pause
    )
    manager = urllib3.PoolManager(retries=False, timeout=PATIENCE_SECONDS)
    manager.pool_classes_by_scheme = POOLS
    threading.Timer(0.2, pause.set).start()  # the buffers of the connection are full by then
    try:
        response = manager.request(
            "PUT",
            listener.url,
            body=Parts(*parts),  # type: ignore[arg-type]
            headers={"Content-Length": str(len(whole))},
        )
        assert response.status == 200
    finally:
        manager.clear()
        listener.close()
    assert b"".join(listener.packets).partition(b"\r\n\r\n")[2] == whole


class SlowConnection:
    """A connection to a server that reads nothing but what ``on_timeout`` reads of it."""

    def __init__(self) -> None:
        self.timeouts = 0
        self.received = bytearray()
        self.reads = True
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._sender = socket.create_connection(server.getsockname())
            self._receiver, _ = server.accept()
        self._sender.settimeout(0.01)
        self._receiver.settimeout(PATIENCE_SECONDS)

    def fileno(self) -> int:
        return self._sender.fileno()

    def sendmsg(self, parts: list[memoryview]) -> int:
        try:
            return self._sender.sendmsg(parts)
        except TimeoutError:
            self.timeouts += 1
            if self.reads:
                self._read_until_acknowledged()
            raise

    def _read_until_acknowledged(self) -> None:
        from mistral_offload.storage._http_connections import _unacknowledged_bytes

        before = _unacknowledged_bytes(self._sender)
        while _unacknowledged_bytes(self._sender) >= before:
            self.received += self._receiver.recv(64 * KIB)

    def finish(self) -> bytes:
        self._sender.close()
        while piece := self._receiver.recv(1024 * KIB):
            self.received += piece
        return bytes(self.received)

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems send in pieces")
def test_a_timeout_ends_a_request_only_if_nothing_was_acknowledged() -> None:
    from mistral_offload.storage._http_connections import _send_plain

    data = random.Random(1).randbytes(20_000 * KIB)
    with contextlib.closing(SlowConnection()) as slow:
        sender: Any = slow
        _send_plain(sender, [memoryview(b"head"), memoryview(data)])
        assert slow.timeouts > 1
        assert slow.finish() == b"head" + data
    with contextlib.closing(SlowConnection()) as stuck:
        stuck.reads = False
        sender = stuck
        with pytest.raises(TimeoutError):
            _send_plain(sender, [memoryview(data)])
