# Generated from mistral_offload/_async/http.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 9e32da2a3827c13c

"""The one request helper of every operation: encode, send, retry, check, decode."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import httpx
from httpx import Client

from mistral_offload import _synchronization
from mistral_offload._event_loops import is_exiting
from mistral_offload._forks import ProcessBound
from mistral_offload._sync.response_decoder import SyncResponseDecoder
from mistral_offload.api.body import RawJSON, render_body
from mistral_offload.api.completion import execution_error, read_execution_error
from mistral_offload.api.connection import CallOptions, Connection
from mistral_offload.api.failures import describe_failure, find_in_failure
from mistral_offload.api.held_requests import HeldRequests
from mistral_offload.api.operation import Operation
from mistral_offload.api.request_inputs import (
    check_inline_size,
    describe_input,
    render_inline_input,
)
from mistral_offload.api.response_body import limit_body
from mistral_offload.api.responses import (
    connection_error,
    exit_error,
    is_retryable,
    is_stream,
    parse_json,
    to_model,
    unsendable_error,
)
from mistral_offload.api.retries import BackoffStrategy, RetryConfig, limit_connect, pause_seconds
from mistral_offload.api.unset import UNSET
from mistral_offload.errors import (
    APIConnectionError,
    BlobNotFoundError,
    MistralOffloadError,
    WorkflowError,
)
from mistral_offload.fields import may_hold_fields
from mistral_offload.files import may_hold_files
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.jsontext import dump_named_json

if TYPE_CHECKING:
    from mistral_offload.files.file_store import FileStore

T = TypeVar("T")

_CONCURRENT_ENCODINGS = 4
"""Inputs encoded at a time per event loop; twice as many delay the loop by 50 ms."""

_MOST_REDIRECTS = 20

_logger = logging.getLogger("mistral_offload.client")


def warn_of_retry(
    operation: Operation[Any], outcome: SendResult | Exception, seconds: float
) -> None:
    """Log a warning before the first retry of a request.

    Args:
        operation: the operation.
        outcome: the response that is retried, or the error.
        seconds: time left for retries.
    """
    text = str(outcome)
    if isinstance(outcome, APIConnectionError):
        text = str(outcome.args[0])
    elif isinstance(outcome, SendResult):
        text = f"{operation.name}: HTTP {outcome.response.status_code}"
    _logger.warning("%s; retrying for up to %.0f s", text, max(seconds, 0))


class SendResult(NamedTuple):
    """A response, and the number of attempts it took."""

    response: httpx.Response
    attempts: int


class SyncHttp:
    """Sends requests over pooled connections, which are opened on first use.

    Args:
        connection: settings of the client.
        client: HTTP client of the caller, who closes it; None to create one when needed.
    """

    def __init__(self, connection: Connection, client: Client | None) -> None:
        self._connection = connection
        self._given_client = client
        self._given_use = ProcessBound(
            "the HTTP client that was passed in", "pass one that was created after the fork"
        )
        self._encoding_limiter = _synchronization.LoopLimiter(_CONCURRENT_ENCODINGS)
        self._decoder = SyncResponseDecoder(connection)

    @property
    def files(self) -> FileStore | None:
        """The place for files; None if no storage is configured, or no value can be a file."""
        return self._connection.files if may_hold_files() else None

    def call(
        self,
        operation: Operation[T],
        path: Mapping[str, str],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        options: CallOptions,
    ) -> T:
        """Call an operation: encode the input, send the request, return the decoded response.

        Args:
            operation: the operation.
            path: its path parameters.
            query: its query parameters.
            body: members of the body, or the body as JSON text.
            options: options of the call.

        Raises:
            PayloadError, StorageError: the input or the response could not be encoded or decoded.
            APIError, APIConnectionError: the platform returned an error, or sent no response.
        """
        sent = self.send(operation, path, query=query, body=body, options=options)
        return self.read(operation, sent.response)

    def send(
        self,
        operation: Operation[Any],
        path: Mapping[str, str],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        options: CallOptions,
    ) -> SendResult:
        """Send a request, with retries as configured, and return the response with any status.

        The body of the response has been read, unless it is a stream of events.

        Raises:
            PayloadError, StorageError: the input could not be encoded; nothing was sent.
            APIConnectionError: the last attempt got no response.
            ResponseTooLargeError: the body is larger than the client accepts.
            ConfigurationError: a credential, a header, or a variable for proxies or certificates
                cannot be used; nothing was sent.
        """
        _synchronization.check_event_loop()
        content = self._encode(operation, path, body)
        client = self._client()
        request = self._connection.request(
            client, operation, path=path, query=query, body=content, options=options
        )
        retries = self._connection.retry_config(operation, options)
        started = time.monotonic()
        deadline = started + retries.backoff.max_elapsed_time / 1000
        attempt = 0
        while True:
            attempt += 1
            outcome: SendResult | MistralOffloadError
            retryable, headers = False, None
            if attempt > 1:
                limit_connect(request, deadline - time.monotonic())
            try:
                response = _send_once(client, request)
                streams = is_stream(operation, response)
                limit_body(operation, response, None if streams else self.max_response_bytes)
                if not streams:
                    _synchronization.read_body(response)
            except httpx.LocalProtocolError:
                outcome = unsendable_error(operation)
            except httpx.TransportError as error:
                outcome = connection_error(
                    operation, request, error, own_client=self._given_client is None
                )
                outcome.__cause__ = error
                outcome.attempts, outcome.seconds = attempt, time.monotonic() - started
                retryable = is_retryable(operation, retries, error)
            except RuntimeError as error:
                if not is_exiting():
                    raise
                outcome = exit_error(operation)
                outcome.__cause__ = error
            else:
                outcome = SendResult(response, attempt)
                retryable, headers = retries.retries_status(response.status_code), response.headers
            pause = pause_seconds(retries.backoff, attempt, headers)
            if retries.strategy == "none" or not retryable or time.monotonic() + pause > deadline:
                if isinstance(outcome, MistralOffloadError):
                    raise outcome
                return outcome
            if attempt == 1:
                warn_of_retry(operation, outcome, deadline - time.monotonic())
            _synchronization.sleep(pause)

    @property
    def max_response_bytes(self) -> int:
        """Bound of one response, decompressed, and of one event of a stream."""
        return self._connection.max_response_bytes

    @property
    def held_requests(self) -> HeldRequests:
        """Start requests of this client that the platform holds."""
        return self._connection.held_requests

    def timeout_seconds(self, options: CallOptions) -> float:
        """Return the timeout of a request in seconds."""
        return self._connection.timeout_seconds(options)

    def retry_config(self, operation: Operation[Any], options: CallOptions) -> RetryConfig:
        """Return the retries of a call."""
        return self._connection.retry_config(operation, options)

    def backoff(self, operation: Operation[Any], options: CallOptions) -> BackoffStrategy:
        """Return the pauses before a stream is reopened."""
        return self._connection.retry_config(operation, options).backoff

    def limit_duration(
        self, operation: Operation[Any], options: CallOptions, seconds: float
    ) -> CallOptions:
        """Return options whose request timeout and total retry time are at most ``seconds``."""
        return self._connection.limit_duration(operation, options, seconds)

    def read(self, operation: Operation[T], response: httpx.Response) -> T:
        """Check a response, decode the values in it and return the operation's model.

        Raises:
            APIError: the response is an error, or its body is not what the operation returns.
            PayloadError, StorageError: a value could not be decoded.
        """
        reason = None if response.is_success else self._encoded_reason(operation, response)
        document = parse_json(operation, response, reason)
        self.decode(operation, document)
        return to_model(operation, response, document)

    def decode(self, operation: Operation[Any], document: Any) -> None:
        """Decode the encoded values of a document in place.

        Values of events that cannot be decoded stay as they are.

        Raises:
            PayloadError, StorageError: another value cannot be decoded, and the operation is not
                lenient.
        """
        if operation.find_encoded is not None:
            values = operation.find_encoded(document)
            self._decoder.decode_values(operation, values)

    def execution_error(
        self, operation: Operation[Any], response: httpx.Response
    ) -> WorkflowError | None:
        """Return the error of the execution itself that an error response reports, or None."""
        members = read_execution_error(response)
        if members is None:
            return None
        self._decoder.decode_values(operation, find_in_failure(members))
        return execution_error(response, members)

    def _encoded_reason(self, operation: Operation[Any], response: httpx.Response) -> str | None:
        """Return type and message of a failure in an error response if a worker encoded them.

        Workers do so under full encryption, also for failures of queries and updates.
        """
        members = read_execution_error(response)
        encoded = [] if members is None else list(find_in_failure(members))
        if members is None or not encoded:
            return None
        self._decoder.decode_values(operation, encoded)
        return describe_failure(members)

    def load_fields(self, value: Any) -> Any:
        """Return a value with its activity fields loaded, and its files ready to be read.

        Raises:
            OffloadingNotConfiguredError: a field is in a store, and none is configured here.
            ReferenceRefusedError: a field names a key it may not name.
            PayloadError: a value cannot be decrypted, or does not fit its field's type.
            StorageError: a blob was removed, is damaged or could not be read.
        """
        if not (may_hold_fields() or may_hold_files()):
            return value
        try:
            return self._connection.fields.load_result(value)
        except BlobNotFoundError as error:
            if not self._connection.names_fields:
                remedy = (
                    "the client looked in the store of workflow_payload_offloading; if the workers "
                    "have another one for activity fields, give it as "
                    "field_offloading=FieldOffloadingConfig(storage_config=…)"
                )
                error.args = (f"{error}; {remedy}", *error.args[1:])
            raise

    def namespace(self) -> str:
        """Return the namespace of the caller's workflows, fetched from the platform once."""
        return self._connection.namespace.get(self._fetch_namespace)

    def close(self) -> None:
        """Close all connections opened here; an HTTP client of the caller stays open."""
        self._connection.http_clients.close()

    def _fetch_namespace(self) -> str:
        from mistral_offload.api import endpoints  # with all models; creating a client needs none

        caller = self.call(endpoints.WHOAMI, {}, options={})
        return caller.namespace

    def _encode(
        self,
        operation: Operation[Any],
        path: Mapping[str, str],
        body: Mapping[str, object] | bytes | None,
    ) -> bytes | None:
        """Return the body as JSON text, with the user's input in it encoded.

        Raises:
            PayloadError, StorageError: the input could not be encoded.
        """
        if body is None or isinstance(body, bytes):
            return body
        location, encoder = operation.input, self._connection.encoder
        value = UNSET if location is None else location.get(body)
        if location is None or value is None or value is UNSET:
            return render_body(body)
        description = describe_input(path, body)
        if location.offloadable and self.files is not None:
            value = self._store_files(value, path, body)
        if not location.offloadable:
            plain = dump_named_json(value, description)
            payload = encoder.encode(plain, None, offload=False)
            check_inline_size(description, payload)
            digest = encoder.hash_schedule_input(plain) if location.hashed else None
            text = render_inline_input(payload, digest, encoder.is_configured)
            return location.replace(body, text, encoded=True)
        if not encoder.is_configured:
            text = RawJSON(encoder.encode_value(value, None, what=description).data)
            return location.replace(body, text, encoded=False)
        context = None
        if encoder.offloads:  # only blob keys contain the namespace
            context = PayloadContext(self.namespace(), _execution_id(path, body))
        with self._encoding_limiter.slot():
            payload = encoder.encode_value(value, context, what=description)
        return location.replace(body, RawJSON(write_envelope(payload)), encoded=True)

    def _store_files(self, value: Any, path: Mapping[str, str], body: Mapping[str, object]) -> Any:
        """Return the user's value with its files in the store.

        Raises:
            FileError: a file cannot be read or stored.
            StorageError: a file could not be stored.
        """
        from mistral_offload.files.reference import root_of_execution
        from mistral_offload.files.transfers import store_files, unstored_files

        if self.files is None or not unstored_files(value):
            return value
        root = root_of_execution(self.namespace(), _execution_id(path, body))
        return store_files(value, self.files, root)

    def _client(self) -> Client:
        if self._given_client is not None:
            self._given_use.claim()
            return self._given_client
        return self._connection.http_clients.get()


def _execution_id(path: Mapping[str, str], body: Mapping[str, object]) -> str:
    return path.get("execution_id") or str(body["execution_id"])


def _send_once(client: Client, request: httpx.Request) -> httpx.Response:
    """Send a request and follow redirects; return the response with its body unread.

    httpx would read the body of each redirect in full, however large. A redirect after which httpx
    would send another method, a GET in place of a POST, is not followed.
    """
    response = client.send(request, stream=True, follow_redirects=False)
    for _ in range(_MOST_REDIRECTS):
        if response.next_request is None or response.next_request.method != request.method:
            break
        response.close()
        response = client.send(response.next_request, stream=True, follow_redirects=False)
    return response
