"""``client.workflows.events``, also ``client.events``: list and stream execution events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload import _synchronization
from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncEventPage, AsyncPageSource
from mistral_offload._async.streams import AsyncEventStream, open_stream_async
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.encoded_events import is_encoded
from mistral_offload.api.filters import EventFilters
from mistral_offload.api.models import AnyEvent, EventFrame, ListWorkflowEventResponse
from mistral_offload.api.operation import with_decoding
from mistral_offload.api.query import with_metadata_filters
from mistral_offload.api.stream_calls import StreamCall

_EVENTS_AHEAD = 8
"""Events of which an iterator holds the decoded values at a time."""


class AsyncEvents:
    """Methods that read events of executions and of the activities and custom tasks in them."""

    _http_async: AsyncHttp

    async def get_workflow_events_async(
        self,
        *,
        root_workflow_exec_id: str | None = None,
        workflow_exec_id: str | None = None,
        workflow_run_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        decode_payloads: bool = True,
        **options: Unpack[CallOptions],
    ) -> AsyncEventPage:
        """Get a page of events with decoded payloads.

        Values that are references are read from the store, eight at a time, before the page is
        returned. A value that cannot be read stays as it is: the attribute's ``is_encoded`` is True
        then, and its ``decode_error`` says why.

        Args:
            root_workflow_exec_id: return only events of this execution's descendants, at any
                depth.
            workflow_exec_id: return only events of this execution.
            workflow_run_id: return only events of this run.
            limit: number of events per page.
            cursor: ``next_cursor`` of the previous page.
            decode_payloads: False to leave all values encoded and read nothing from the store;
                ``decode_event`` decodes those of one event.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            APIError: the platform returned an error.
        """
        source = AsyncPageSource(
            self._http_async,
            with_decoding(endpoints.GET_EVENTS, decode_payloads),
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
        """Yield all events, fetching pages as needed.

        Parameters and errors are those of ``get_workflow_events``. Values are decoded a few events
        ahead, so that those of a long list are not in memory all at once.
        """
        decode = filters.get("decode_payloads", True)
        filters["decode_payloads"] = False
        page: AsyncEventPage | None = await self.get_workflow_events_async(**filters)
        while page is not None:
            for start in range(0, len(page.events), _EVENTS_AHEAD):
                events = page.events[start : start + _EVENTS_AHEAD]
                for event in await self._decode_events_async(events) if decode else events:
                    yield event
            page = await page.next()

    async def decode_event_async(self, event: AnyEvent) -> AnyEvent:
        """Return an event with its values decoded, and references read from the store.

        For events that were listed or streamed with ``decode_payloads=False``, and for values that
        could not be read before, for instance during an outage. A value that cannot be read stays
        as it is, with the reason in ``decode_error``. The event given is not changed.
        """
        await _synchronization.check_event_loop_async()
        (decoded,) = await self._decode_events_async([event])
        return decoded

    async def _decode_events_async(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        encoded = [event for event in events if is_encoded(event)]
        if not encoded:
            return list(events)
        document = {"events": [event.model_dump() for event in encoded]}
        await self._http_async.decode_async(endpoints.GET_EVENTS, document)
        decoded = iter(ListWorkflowEventResponse.model_validate(document).events)
        return [next(decoded) if is_encoded(event) else event for event in events]

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
        decode_payloads: bool = True,
        **options: Unpack[CallOptions],
    ) -> AsyncEventStream[EventFrame]:
        """Stream events of executions with decoded payloads as they happen.

        ``*``, the default of the filters, matches everything. A value that cannot be read stays as
        it is, as in ``get_workflow_events``.

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
            decode_payloads: False to leave all values encoded and read nothing from the store.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            ValueError: a metadata filter cannot be written in a query.
            APIError, APIConnectionError: the platform returned an error, or sent no response; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
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
        operation = with_decoding(endpoints.STREAM_EVENTS, decode_payloads)
        call = StreamCall(operation, {}, query, options, resumes_by_header=True).resume_after(
            last_event_id
        )
        return await open_stream_async(self._http_async, call, reconnect=reconnect)
