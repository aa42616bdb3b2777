# Generated from mistral_offload/_async/execution_stream.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: f0145b870f502d69

"""Streams of an execution's events and log records."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.streams import SyncEventStream, open_stream
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import EventFrame, ExecutionLogFrame
from mistral_offload.api.operation import with_decoding
from mistral_offload.api.stream_calls import StreamCall


class SyncExecutionStreams:
    """Methods that stream events and log records of an execution, by its id."""

    _http: SyncHttp

    def stream(
        self,
        execution_id: str,
        *,
        event_source: Literal["DATABASE", "LIVE", "HYBRID"] | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        decode_payloads: bool = True,
        **options: Unpack[CallOptions],
    ) -> SyncEventStream[EventFrame]:
        """Stream the events of an execution with decoded payloads as they happen.

        Values that are references are read from the store. A value that cannot be read stays as it
        is: the attribute's ``is_encoded`` is True then, and its ``decode_error`` says why.

        Args:
            execution_id: id of the execution.
            event_source: ``DATABASE`` (stored events), ``LIVE`` (new ones) or ``HYBRID`` (both).
            last_event_id: begin after the event with this id.
            reconnect: True to reconnect when the connection breaks, and resume after the last event
                read. The stream cannot resume after an event without an id.
            decode_payloads: False to leave all values encoded and read nothing from the store.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError, APIConnectionError: the platform returned an error, or sent no response; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
        """
        call = StreamCall(
            with_decoding(endpoints.STREAM_EXECUTION, decode_payloads),
            {"execution_id": execution_id},
            {"event_source": event_source, "last_event_id": last_event_id},
            options,
        )
        return open_stream(self._http, call, reconnect=reconnect)

    def stream_workflow_execution_logs(
        self,
        execution_id: str,
        *,
        run_id: str | None = None,
        activity_id: str | None = None,
        after: datetime | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        **options: Unpack[CallOptions],
    ) -> SyncEventStream[ExecutionLogFrame]:
        """Stream the log records of an execution as they are written.

        Args:
            execution_id: id of the execution.
            run_id: stream only records of this run.
            activity_id: stream only records of this activity.
            after: stream only records later than this.
            last_event_id: begin after the record with this id.
            reconnect: True to reconnect when the connection breaks, and resume after the last event
                read. The stream cannot resume after an event without an id.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError, APIConnectionError: the platform returned an error, or sent no response; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
        """
        call = StreamCall(
            endpoints.STREAM_EXECUTION_LOGS,
            {"execution_id": execution_id},
            {
                "run_id": run_id,
                "activity_id": activity_id,
                "after": after,
                "last_event_id": last_event_id,
            },
            options,
        )
        return open_stream(self._http, call, reconnect=reconnect)
