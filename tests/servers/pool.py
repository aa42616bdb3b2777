"""One server of each kind for a whole test run, however many processes test.

The main process of the run owns the servers. The processes of pytest-xdist request one by its class
and receive a copy of the object, which knows the addresses and not the child process.
"""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Protocol, TypeVar

from tests.servers.process import ServerFailedError
from tests.time_limits import clock_stopped


class Server(Protocol):
    """A server that is started by creating it, without arguments."""

    def stop(self) -> None:
        """Stop it."""
        ...


S = TypeVar("S", bound=Server)


class ServerPool:
    """Starts a server of a kind when the first test requests one, and owns it."""

    def __init__(self) -> None:
        self._servers: dict[type[Any], Server] = {}
        self._starting: dict[type[Any], threading.Lock] = {}
        self._lock = threading.Lock()
        self._authkey = os.urandom(16)
        self._listener: Listener | None = None

    def get(self, kind: type[S]) -> S:
        """Return the running server of a kind.

        Raises:
            ServerFailedError: it did not start.
        """
        with self._lock:
            starting = self._starting.setdefault(kind, threading.Lock())
        with starting:
            if kind not in self._servers:
                self._servers[kind] = kind()
            server: S = self._servers[kind]  # type: ignore[assignment]
            return server

    def listen(self) -> dict[str, Any]:
        """Admit other processes; returns the arguments of `RemotePool`."""
        if self._listener is None:
            self._listener = Listener(family="AF_UNIX", backlog=16, authkey=self._authkey)
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()
        return {"address": self._listener.address, "authkey": self._authkey}

    def stop(self) -> None:
        """Stop every server and admit no more requests."""
        if self._listener is not None:
            self._listener.close()
        for server in self._servers.values():
            server.stop()
        self._servers.clear()

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            try:
                connection.send(self.get(connection.recv()))
            except Exception as error:
                connection.send(ServerFailedError(str(error)))


class RemotePool:
    """The pool of another process: its servers are used here and stopped there."""

    def __init__(self, address: str, authkey: bytes) -> None:
        self._address = address
        self._authkey = authkey

    def get(self, kind: type[S]) -> S:
        """Return a copy of the running server of a kind.

        Raises:
            ServerFailedError: it did not start.
        """
        with clock_stopped(), Client(self._address, authkey=self._authkey) as connection:
            connection.send(kind)
            received: S | ServerFailedError = connection.recv()
        if isinstance(received, ServerFailedError):
            raise received
        return received
