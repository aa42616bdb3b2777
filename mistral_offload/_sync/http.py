# Generated from mistral_offload/_async/http.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: adec952280fd9774

"""One request helper for every operation: send, retry, check, decode."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import httpx
from httpx import Client

from mistral_offload import _synchronization
from mistral_offload.api import endpoints
from mistral_offload.api.body import UNSET, RawJSON, render_body
from mistral_offload.api.connection import CallOptions, Connection
from mistral_offload.api.operation import Operation
from mistral_offload.api.request_inputs import check_kept_size, kept_text, name_of_input
from mistral_offload.api.responses import (
    connection_error,
    is_stream,
    may_help,
    read_answer,
    read_document,
)
from mistral_offload.api.retries import BackoffStrategy, pause_seconds
from mistral_offload.errors import APIConnectionError, PayloadError, StorageError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.jsontext import dump_json

T = TypeVar("T")

_ENCODING_AT_ONCE = 4
"""Inputs of one event loop encoded at a time: with twice as many the loop is late by 50 ms."""

_logger = logging.getLogger("mistral_offload")


class Exchange(NamedTuple):
    """An answer, and how many times the request was sent to get it."""

    response: httpx.Response
    attempts: int


class SyncHttp:
    """Sends requests over pooled connections, opened on first use."""

    def __init__(self, connection: Connection, client: Client | None) -> None:
        self._connection = connection
        self._given = client
        self._turns = _synchronization.LoopLimiter(_ENCODING_AT_ONCE)
        self._own: WeakKeyDictionary[object, Client] = WeakKeyDictionary()

    def call(
        self,
        operation: Operation[T],
        path: Mapping[str, str],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        options: CallOptions,
    ) -> T:
        """Send a request and read its answer, both encoded as the operation says."""
        exchange = self.send(operation, path, query=query, body=body, options=options)
        return self.read(operation, exchange.response)

    def send(
        self,
        operation: Operation[Any],
        path: Mapping[str, str],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        options: CallOptions,
    ) -> Exchange:
        """Send a request, again when that is safe and may help; any status is an answer.

        The body of the answer has been read, unless it is a stream of events.
        """
        _synchronization.warn_if_in_loop()
        content = self._encode(operation, path, body)
        client = self._client()
        request = self._connection.request(
            client, operation, path=path, query=query, body=content, options=options
        )
        retries = self._connection.retries(operation, options)
        deadline = time.monotonic() + retries.backoff.max_elapsed_time / 1000
        attempt = 0
        while True:
            attempt += 1
            outcome: Exchange | APIConnectionError
            try:
                response = client.send(request, stream=True, follow_redirects=True)
                if not is_stream(operation, response):
                    _synchronization.read_body(response)
            except httpx.TransportError as error:
                outcome = connection_error(operation, request, error)
                outcome.__cause__ = error
                again, headers = may_help(operation, retries, error), None
            else:
                outcome = Exchange(response, attempt)
                again, headers = retries.retries_status(response.status_code), response.headers
            pause = pause_seconds(retries.backoff, attempt, headers)
            if retries.strategy == "none" or not again or time.monotonic() + pause > deadline:
                if isinstance(outcome, APIConnectionError):
                    raise outcome
                return outcome
            _synchronization.sleep(pause)

    def backoff(self, operation: Operation[Any], options: CallOptions) -> BackoffStrategy:
        """The pauses before a stream is opened again."""
        return self._connection.retries(operation, options).backoff

    def within(
        self, operation: Operation[Any], options: CallOptions, seconds: float
    ) -> CallOptions:
        """The options of a call that is to end within some seconds, answered or not."""
        return self._connection.within(operation, options, seconds)

    def read(self, operation: Operation[T], response: httpx.Response) -> T:
        """Read the answer of an operation, decoded."""
        document = read_document(operation, response)
        self.decode(operation, document)
        return read_answer(operation, response, document)

    def decode(self, operation: Operation[Any], document: Any) -> None:
        """Decode what is encoded in an answer, in place.

        Raises:
            PayloadError, StorageError: it cannot be decoded, and the answer is of no use without.
        """
        if operation.decodes is None:
            return
        encoder = self._connection.encoder
        for found in operation.decodes(document):
            # Without a configuration an envelope that needs nothing undone is the user's value.
            if not (found.is_changed or encoder.is_configured):
                continue
            try:
                if found.patches is not None:
                    found.put(encoder.decode_patches(found.patches))
                else:
                    found.put(encoder.decode_value(found.payload))
            except (PayloadError, StorageError) as error:
                if not operation.lenient:
                    raise
                _logger.warning("%s: a value stays encoded: %s", operation.name, error)

    def namespace(self) -> str:
        """The namespace of the caller's workflows, asked of the platform once."""
        return self._connection.namespace.get(self._ask_namespace)

    def close(self) -> None:
        """Close the connections opened here; a client that was handed in stays open."""
        client = self._own.pop(_synchronization.scope(), None)
        if client is not None:
            client.close()

    def _ask_namespace(self) -> str:
        answer = self.call(endpoints.WHOAMI, {}, options={})
        return answer.namespace

    def _encode(
        self,
        operation: Operation[Any],
        path: Mapping[str, str],
        body: Mapping[str, object] | bytes | None,
    ) -> bytes | None:
        """The text of a body, the user's value in it encoded.

        Raises:
            PayloadError, StorageError: it could not be encoded; nothing was sent.
        """
        if body is None or isinstance(body, bytes):
            return body
        part, encoder = operation.encodes, self._connection.encoder
        value = UNSET if part is None else part.value_in(body)
        if part is None or value is None or value is UNSET:
            return render_body(body)
        what = name_of_input(path, body)
        if not part.offloads:
            plain = dump_json(value)
            payload = encoder.encode(plain, None, offload=False)
            check_kept_size(what, payload)
            digest = encoder.hash_schedule_input(plain) if part.hashed else None
            return part.replace(
                body, kept_text(payload, digest, encoder.is_configured), encoded=True
            )
        if not encoder.is_configured:
            text = RawJSON(encoder.encode_value(value, None, what=what).data)
            return part.replace(body, text, encoded=False)
        context = None
        if encoder.offloads:  # only keys of blobs need the namespace
            execution_id = path.get("execution_id") or str(body["execution_id"])
            context = PayloadContext(self.namespace(), execution_id)
        with self._turns.one():
            payload = encoder.encode_value(value, context, what=what)
        return part.replace(body, RawJSON(write_envelope(payload)), encoded=True)

    def _client(self) -> Client:
        if self._given is not None:
            return self._given
        scope = _synchronization.scope()
        client = self._own.get(scope)
        if client is None:
            client = self._own.setdefault(scope, Client())
        return client
