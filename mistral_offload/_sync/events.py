# Generated from mistral_offload/_async/events.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: f6c1ebf0f10f0b9d

"""``client.workflows.events``, also ``client.events``: what happens in executions."""

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
from mistral_offload.api.query import with_filters
from mistral_offload.api.stream_calls import StreamCall


class SyncEvents:
    """Events of executions, and of the activities and custom tasks in them."""

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
        """Get a page of events, their payloads decoded.

        Args:
            root_workflow_exec_id: only of the executions this one has started, at any depth.
            workflow_exec_id: only of this execution.
            workflow_run_id: only of this run.
            limit: events a page.
            cursor: ``next_cursor`` of the page before.
            options: what this call does differently from its client.

        Raises:
            APIError: the platform refused or failed.
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
        """Walk through all events; pages are asked for as they are needed.

        Takes what ``get_workflow_events`` takes, and raises what it raises.
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
        """Follow the events of executions, their payloads decoded. ``*`` stands for all.

        Args:
            scope: only of activities, or only of workflows.
            activity_name: only of this activity.
            activity_id: only of the activity with this id.
            workflow_name: only of this workflow.
            workflow_exec_id: only of this execution.
            root_workflow_exec_id: only of the executions this one has started, at any depth.
            parent_workflow_exec_id: only of the executions this one has started itself.
            stream: only of the stream of this name.
            start_seq: only from this place in the stream on.
            metadata_filters: only events with these values in their metadata.
            workflow_event_types: only of these kinds, for instance ``WORKFLOW_EXECUTION_FAILED``.
            last_event_id: only the events after this one.
            reconnect: when the connection breaks, go on after the last event that was read. An
                event without an id is no place to go on from.
            options: what this call does differently from its client.

        Raises:
            ValueError: a metadata filter has no form in a query.
            APIError, APIConnectionError: the platform refused, failed or did not answer; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
            PayloadError, StorageError: a payload could not be decoded.
        """
        query = with_filters(
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
        ).after(last_event_id)
        return open_stream(self._http, call, reconnect=reconnect)
