"""The HTTP clients of one ``Mistral``: one for all threads, and one for each event loop."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import httpx

from mistral_offload import _forks
from mistral_offload._event_loops import run_in_thread_async, running_loop
from mistral_offload._http_environment import create_ssl_context, read_proxies

_CLOSE_SECONDS = 5.0
"""Longest wait for an event loop of another thread to close its connections."""


class _LoopClient(NamedTuple):
    """A client of one event loop, and what closes it in this loop."""

    client: httpx.AsyncClient
    lifetime: AsyncGenerator[httpx.AsyncClient, None]


class HTTPClients:
    """Opens clients on first use; proxies and certificates come from the environment.

    A loop's client closes when the loop shuts its asynchronous generators down, as ``asyncio.run``
    does at its end. The clients of loops that were closed without that are dropped when the next
    client is opened.
    """

    def __init__(self) -> None:
        self._inherited: list[object] = []
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._per_loop: dict[asyncio.AbstractEventLoop, _LoopClient] = {}
        self._context: ssl.SSLContext | None = None
        _forks.register(self)

    def begin_anew(self) -> None:
        """Leave the connections to the parent process."""
        self._inherited += (self._client, self._per_loop)
        self._lock = threading.Lock()
        self._client = None
        self._per_loop = {}
        self._context = None

    def get(self) -> httpx.Client:
        """Return the client of the blocking calls.

        Raises:
            ConfigurationError: a variable for proxies or certificates cannot be used.
        """
        client = self._client
        if client is None:
            with self._lock:
                client = self._client
                if client is None:
                    client = self._client = self._create()
        return client

    async def get_async(self) -> httpx.AsyncClient:
        """Return the client of the running event loop.

        Raises:
            ConfigurationError: a variable for proxies or certificates cannot be used.
        """
        loop = asyncio.get_running_loop()
        found = self._per_loop.get(loop)
        if found is None:
            lifetime = self._open_async(loop)
            client = await anext(lifetime)  # does not suspend; registers it with the loop
            found = _LoopClient(client, lifetime)
            with self._lock:
                for other in [each for each in self._per_loop if each.is_closed()]:
                    del self._per_loop[other]
                self._per_loop[loop] = found
        return found.client

    def close(self) -> None:
        """Close the clients of all threads and event loops; later calls open new ones.

        That of an event loop which runs in this thread is closed as soon as the loop runs on.
        """
        for loop, opened in self._take():
            if loop is running_loop():
                task = loop.create_task(_close_async(opened))
                self._inherited.append(task)
                task.add_done_callback(self._inherited.remove)
            elif loop.is_running():
                with suppress(Exception):
                    closing = asyncio.run_coroutine_threadsafe(_close_async(opened), loop)
                    closing.result(_CLOSE_SECONDS)
            else:  # in a thread, since another loop may be running in this one
                thread = threading.Thread(target=_close_idle, args=(loop, opened), daemon=True)
                with suppress(RuntimeError):  # none can be started: the interpreter is exiting
                    thread.start()
                    thread.join(_CLOSE_SECONDS)

    async def close_async(self) -> None:
        """Close the clients of all threads and event loops; later calls open new ones."""
        for loop, opened in self._take():
            if loop is asyncio.get_running_loop():
                await _close_async(opened)
            elif loop.is_running():
                with suppress(Exception):
                    closing = asyncio.run_coroutine_threadsafe(_close_async(opened), loop)
                    await asyncio.wait_for(asyncio.wrap_future(closing), _CLOSE_SECONDS)
            else:
                await run_in_thread_async(partial(_close_idle, loop, opened))

    def _take(self) -> list[tuple[asyncio.AbstractEventLoop, _LoopClient]]:
        """Close the blocking client; return those of the loops, which are no longer known here."""
        with self._lock:
            client, self._client = self._client, None
            per_loop, self._per_loop = self._per_loop, {}
            self._context = None
        if client is not None:
            client.close()
        return [(loop, opened) for loop, opened in per_loop.items() if not loop.is_closed()]

    async def _open_async(
        self, loop: asyncio.AbstractEventLoop
    ) -> AsyncGenerator[httpx.AsyncClient, None]:
        """Yield a client; close it when the generator is closed."""
        client = self._create_async()
        try:
            yield client
        finally:
            with self._lock:
                opened = self._per_loop.get(loop)
                if opened is not None and opened.client is client:
                    del self._per_loop[loop]
            await client.aclose()

    def _create(self) -> httpx.Client:
        context = self._ssl_context()
        return httpx.Client(
            verify=context,
            trust_env=False,
            mounts={
                pattern: None if proxy is None else httpx.HTTPTransport(verify=context, proxy=proxy)
                for pattern, proxy in read_proxies().items()
            },
        )

    def _create_async(self) -> httpx.AsyncClient:
        context = self._ssl_context()
        return httpx.AsyncClient(
            verify=context,
            trust_env=False,
            mounts={
                pattern: None
                if proxy is None
                else httpx.AsyncHTTPTransport(verify=context, proxy=proxy)
                for pattern, proxy in read_proxies().items()
            },
        )

    def _ssl_context(self) -> ssl.SSLContext:
        """Return one context for all clients: reading the certificates takes long."""
        context = self._context
        if context is None:
            context = self._context = create_ssl_context()
        return context


async def _close_async(opened: _LoopClient) -> None:
    await opened.lifetime.aclose()


def _close_idle(loop: asyncio.AbstractEventLoop, opened: _LoopClient) -> None:
    """Close the client of an event loop that is neither closed nor running."""
    closing = _close_async(opened)
    try:
        loop.run_until_complete(closing)
    except RuntimeError:  # the loop was closed or started meanwhile
        closing.close()
