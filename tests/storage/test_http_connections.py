"""How requests leave: small ones in one packet, large ones whole, over HTTP and over TLS."""

from __future__ import annotations

import socket
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
