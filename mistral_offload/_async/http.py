"""One request helper for every operation: send, retry, check, decode."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import httpx
from httpx import AsyncClient

from mistral_offload import _pace
from mistral_offload.api import operations
from mistral_offload.api.answers import connection_error, read_answer, read_document
from mistral_offload.api.body import RawJSON
from mistral_offload.api.connection import CallOptions, Connection
from mistral_offload.api.operations import Operation
from mistral_offload.api.retries import RETRIED_STATUSES, pause_seconds
from mistral_offload.errors import APIConnectionError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.envelope import read_envelope, write_envelope

T = TypeVar("T")


class Exchange(NamedTuple):
    """An answer, and how many times the request was sent to get it."""

    response: httpx.Response
    attempts: int


class AsyncHttp:
    """Sends requests over pooled connections, opened on first use."""

    def __init__(self, connection: Connection, client: AsyncClient | None) -> None:
        self._connection = connection
        self._given = client
        self._own: WeakKeyDictionary[object, AsyncClient] = WeakKeyDictionary()

    @property
    def sends_envelopes(self) -> bool:
        """Whether inputs travel as envelopes, as they do once offloading is configured."""
        return self._connection.encoder.offloads

    async def call_async(
        self,
        operation: Operation[T],
        path: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        options: CallOptions,
    ) -> T:
        """Send a request and read its answer, results decoded."""
        exchange = await self.send_async(operation, path, query=query, body=body, options=options)
        return await self.read_async(operation, exchange.response)

    async def send_async(
        self,
        operation: Operation[Any],
        path: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        options: CallOptions,
    ) -> Exchange:
        """Send a request, again when that is safe and may help; any status is an answer."""
        client = await self._client_async()
        request = self._connection.request(
            client, operation, path=path, query=query, body=body, options=options
        )
        retries = self._connection.retries(operation, options)
        deadline = time.monotonic() + retries.backoff.max_elapsed_time / 1000
        attempt = 0
        while True:
            attempt += 1
            outcome: Exchange | APIConnectionError
            try:
                response = await client.send(request, follow_redirects=True)
            except httpx.TransportError as error:
                outcome = connection_error(operation, request, error)
                outcome.__cause__ = error
                again, headers = retries.retry_connection_errors, None
            else:
                outcome = Exchange(response, attempt)
                again, headers = response.status_code in RETRIED_STATUSES, response.headers
            pause = pause_seconds(retries.backoff, attempt, headers)
            if retries.strategy == "none" or not again or time.monotonic() + pause > deadline:
                if isinstance(outcome, APIConnectionError):
                    raise outcome
                return outcome
            await _pace.sleep_async(pause)

    async def read_async(self, operation: Operation[T], response: httpx.Response) -> T:
        """Read the answer of an operation; a ``result`` in it is decoded."""
        document = read_document(operation, response)
        if isinstance(document, dict) and "result" in document:
            document["result"] = await self._decode_async(document["result"])
        return read_answer(operation, response, document)

    async def encode_async(self, value: object, execution_id: str, *, what: str) -> RawJSON:
        """The JSON that is sent for an input: an envelope, or without offloading the value itself.

        Raises:
            PayloadSerializationError: the value has no JSON form.
            PayloadTooLargeError: over the platform's limit, and no offloading is configured.
            StorageError: the blob could not be written.
        """
        encoder = self._connection.encoder
        if not encoder.offloads:
            return RawJSON(encoder.encode_value(value, None, what=what).data)
        context = PayloadContext(await self.namespace_async(), execution_id)
        return RawJSON(write_envelope(await encoder.encode_value_async(value, context, what=what)))

    async def namespace_async(self) -> str:
        """The namespace of the caller's workflows, asked of the platform once."""
        return await self._connection.namespace.get_async(self._ask_namespace_async)

    async def close_async(self) -> None:
        """Close the connections opened here; a client that was handed in stays open."""
        client = self._own.pop(await _pace.scope_async(), None)
        if client is not None:
            await client.aclose()

    async def _ask_namespace_async(self) -> str:
        answer = await self.call_async(operations.WHOAMI, {}, options={})
        return answer.namespace

    async def _decode_async(self, result: Any) -> Any:
        payload = read_envelope(result)
        encoder = self._connection.encoder
        # Without a configuration an envelope that needs nothing undone is just the user's value.
        if payload is None or not (payload.options or encoder.offloads):
            return result
        return await encoder.decode_value_async(payload)

    async def _client_async(self) -> AsyncClient:
        if self._given is not None:
            return self._given
        scope = await _pace.scope_async()
        client = self._own.get(scope)
        if client is None:
            client = self._own.setdefault(scope, AsyncClient())
        return client
