"""``client.workflows.events``, also ``client.events``: what happens in executions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncEventPage, AsyncPageSource
from mistral_offload._async.streams import AsyncEventStream, open_stream_async
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import EventFilters
from mistral_offload.api.models import AnyEvent, EventFrame
from mistral_offload.api.query import with_filters
from mistral_offload.api.stream_calls import StreamCall


class AsyncEvents:
    """Events of executions, and of the activities and custom tasks in them."""

    _http_async: AsyncHttp

    async def get_workflow_events_async(
        self,
        *,
        root_workflow_exec_id: str | None = None,
        workflow_exec_id: str | None = None,
        workflow_run_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncEventPage:
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
        source = AsyncPageSource(
            self._http_async,
            endpoints.GET_EVENTS,
            AsyncEventPage,
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
        return await source.get_async()

    async def get_workflow_events_iter_async(
        self, **filters: Unpack[EventFilters]
    ) -> AsyncIterator[AnyEvent]:
        """Walk through all events; pages are asked for as they are needed.

        Takes what ``get_workflow_events`` takes, and raises what it raises.
        """
        page: AsyncEventPage | None = await self.get_workflow_events_async(**filters)
        while page is not None:
            for event in page.events:
                yield event
            page = await page.next()

    async def get_stream_events_async(
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
    ) -> AsyncEventStream[EventFrame]:
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
        return await open_stream_async(self._http_async, call, reconnect=reconnect)
