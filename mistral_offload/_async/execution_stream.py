"""What goes on in an execution, as it happens."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.streams import AsyncEventStream, open_stream_async
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import EventFrame, ExecutionLogFrame
from mistral_offload.api.stream_calls import StreamCall


class AsyncExecutionStreams:
    """Streams of executions, by id."""

    _http_async: AsyncHttp

    async def stream_async(
        self,
        execution_id: str,
        *,
        event_source: Literal["DATABASE", "LIVE", "HYBRID"] | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        **options: Unpack[CallOptions],
    ) -> AsyncEventStream[EventFrame]:
        """Follow the events of an execution, their payloads decoded.

        Args:
            execution_id: the execution.
            event_source: events that were stored, only those to come, or both.
            last_event_id: only the events after this one.
            reconnect: when the connection breaks, go on after the last event that was read. An
                event without an id is no place to go on from.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such execution.
            APIError, APIConnectionError: the platform refused, failed or did not answer; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
            PayloadError, StorageError: a payload could not be decoded.
        """
        call = StreamCall(
            endpoints.STREAM_EXECUTION,
            {"execution_id": execution_id},
            {"event_source": event_source, "last_event_id": last_event_id},
            options,
        )
        return await open_stream_async(self._http_async, call, reconnect=reconnect)

    async def stream_workflow_execution_logs_async(
        self,
        execution_id: str,
        *,
        run_id: str | None = None,
        activity_id: str | None = None,
        after: datetime | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        **options: Unpack[CallOptions],
    ) -> AsyncEventStream[ExecutionLogFrame]:
        """Follow what an execution logs.

        Args:
            execution_id: the execution.
            run_id: only of this run.
            activity_id: only of this activity.
            after: only what was logged later.
            last_event_id: only the records after this one.
            reconnect: when the connection breaks, go on after the last event that was read. An
                event without an id is no place to go on from.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such execution.
            APIError, APIConnectionError: the platform refused, failed or did not answer; also
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
        return await open_stream_async(self._http_async, call, reconnect=reconnect)
