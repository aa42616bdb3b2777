# Generated from mistral_offload/_async/events.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 4bd0b59d88c9ce0a

"""``client.workflows.events``, also ``client.events``: list and stream execution events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.pages import SyncEventPage, SyncPageSource
from mistral_offload._sync.streams import SyncEventStream, open_stream
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import EventFilters
from mistral_offload.api.models import AnyEvent, EventFrame
from mistral_offload.api.query import with_metadata_filters
from mistral_offload.api.stream_calls import StreamCall


class SyncEvents:
    """Methods that read events of executions and of the activities and custom tasks in them."""

    _http: SyncHttp

    def get_workflow_events(
        self,
        *,
        root_workflow_exec_id: str | None = None,
        workflow_exec_id: str | None = None,
        workflow_run_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SyncEventPage:
        """Get a page of events with decoded payloads.

        Args:
            root_workflow_exec_id: return only events of this execution's descendants, at any
                depth.
            workflow_exec_id: return only events of this execution.
            workflow_run_id: return only events of this run.
            limit: number of events per page.
            cursor: ``next_cursor`` of the previous page.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            APIError: the platform returned an error.
            PayloadError, StorageError: a payload could not be decoded.
        """
        source = SyncPageSource(
            self._http,
            endpoints.GET_EVENTS,
            SyncEventPage,
            pagination.EVENTS,
            {},
            {
                "root_workflow_exec_id": root_workflow_exec_id,
                "workflow_exec_id": workflow_exec_id,
                "workflow_run_id": workflow_run_id,
                "limit": limit,
                "cursor": cursor,
            },
            options,
        )
        return source.get()

    def get_workflow_events_iter(self, **filters: Unpack[EventFilters]) -> Iterator[AnyEvent]:
        """Yield all events, fetching pages as needed.

        Parameters and errors are those of ``get_workflow_events``.
        """
        page: SyncEventPage | None = self.get_workflow_events(**filters)
        while page is not None:
            for event in page.events:
                yield event
            page = page.next()

    def get_stream_events(
        self,
        *,
        scope: Literal["activity", "workflow", "*"] = "*",
        activity_name: str = "*",
        activity_id: str = "*",
        workflow_name: str = "*",
        workflow_exec_id: str = "*",
        root_workflow_exec_id: str = "*",
        parent_workflow_exec_id: str = "*",
        stream: str = "*",
        start_seq: int = 0,
        metadata_filters: Mapping[str, Any] | None = None,
        workflow_event_types: Sequence[str] | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        **options: Unpack[CallOptions],
    ) -> SyncEventStream[EventFrame]:
        """Stream events of executions with decoded payloads as they happen.

        ``*``, the default of the filters, matches everything.

        Args:
            scope: ``activity`` or ``workflow`` to stream only events of this kind.
            activity_name: stream only events of this activity.
            activity_id: stream only events of the activity with this id.
            workflow_name: stream only events of this workflow.
            workflow_exec_id: stream only events of this execution.
            root_workflow_exec_id: stream only events of this execution's descendants, at any
                depth.
            parent_workflow_exec_id: stream only events of this execution's children.
            stream: stream only events of the stream with this name.
            start_seq: sequence number in the stream to begin at.
            metadata_filters: stream only events whose metadata has these values.
            workflow_event_types: stream only events of these types, for example
                ``WORKFLOW_EXECUTION_FAILED``.
            last_event_id: begin after the event with this id.
            reconnect: True to reconnect when the connection breaks, and resume after the last event
                read. The stream cannot resume after an event without an id.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            ValueError: a metadata filter cannot be written in a query.
            APIError, APIConnectionError: the platform returned an error, or sent no response; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
            PayloadError, StorageError: a payload could not be decoded.
        """
        query = with_metadata_filters(
            {
                "scope": scope,
                "activity_name": activity_name,
                "activity_id": activity_id,
                "workflow_name": workflow_name,
                "workflow_exec_id": workflow_exec_id,
                "root_workflow_exec_id": root_workflow_exec_id,
                "parent_workflow_exec_id": parent_workflow_exec_id,
                "stream": stream,
                "start_seq": start_seq,
            },
            metadata_filters,
        )
        query["workflow_event_types"] = workflow_event_types
        call = StreamCall(
            endpoints.STREAM_EVENTS, {}, query, options, resumes_by_header=True
        ).resume_after(last_event_id)
        return open_stream(self._http, call, reconnect=reconnect)
