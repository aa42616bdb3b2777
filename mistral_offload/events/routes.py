"""The routes of events: v2 with a token of the run, and v1 where the platform has no v2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mistral_offload.events.delivery import Delivery, RefusedError
from mistral_offload.events.event import ReportedRun
from mistral_offload.events.route_tokens import RouteTokens

_V1: Final = "/v1/workflows/events"
_V2: Final = "/v2/workflows/events"
_TOKEN_HEADER: Final = "x-workflow-route-token"  # noqa: S105 - the name of a header
_STALE: Final = frozenset({"EVENT_ROUTE_TOKEN_EXPIRED", "EVENT_ROUTE_TOKEN_INVALID"})


class EventRoutes:
    """Sends events by the routes that the platform has; safe to share between threads."""

    def __init__(self) -> None:
        self._tokens = RouteTokens()
        self._has_v1_batches = True

    def send(self, run: ReportedRun, texts: Sequence[bytes], delivery: Delivery) -> int:
        """Send events of one run; return the number of those that the platform refused.

        Args:
            run: the run.
            texts: the events as JSON, in order.
            delivery: the connection.

        Raises:
            UnreachableError: the platform did not respond to one of them; none needs to be sent
                again but all may.
            RefusedError: the platform refuses the events of the run.
        """
        token = self._tokens.get(run, delivery)
        if token is None:
            return self._send_by_v1(run, texts, delivery)
        try:
            return self._send_by_v2(run, texts, token, delivery)
        except RefusedError as error:
            if error.status != 401 or error.code not in _STALE:
                raise
        self._tokens.forget(run)
        token = self._tokens.get(run, delivery)
        if token is None:
            return self._send_by_v1(run, texts, delivery)
        return self._send_by_v2(run, texts, token, delivery)

    def _send_by_v2(
        self, run: ReportedRun, texts: Sequence[bytes], token: str, delivery: Delivery
    ) -> int:
        headers = {_TOKEN_HEADER: token}
        if len(texts) == 1:
            delivery.post(_V2, b'{"event":%b}' % texts[0], run, headers)
            return 0
        try:
            delivery.post(_V2 + "/batch", _batch(texts), run, headers)
        except RefusedError as error:
            if error.status == 401:
                raise
            # One of them may be at fault, or all together too large.
            return _count_refused(
                lambda text: delivery.post(_V2, b'{"event":%b}' % text, run, headers), texts
            )
        return 0

    def _send_by_v1(self, run: ReportedRun, texts: Sequence[bytes], delivery: Delivery) -> int:
        if len(texts) > 1 and self._has_v1_batches:
            try:
                members = delivery.post(_V1 + "/batch", _batch(texts), run)
            except RefusedError as error:
                if error.status == 404:
                    self._has_v1_batches = False
                elif error.status == 401:
                    raise
            else:
                return len(texts) if members.get("status") == "error" else 0

        def send(text: bytes) -> None:
            members = delivery.post(_V1, b'{"event":%b}' % text, run)
            if members.get("status") == "error":
                raise RefusedError(f"{_V1}: status error", 200, None)

        return _count_refused(send, texts)


def _batch(texts: Sequence[bytes]) -> bytes:
    return b'{"events":[%b]}' % b",".join(texts)


def _count_refused(send: Callable[[bytes], object], texts: Sequence[bytes]) -> int:
    """Send events one by one; return the number of refused ones."""
    refused = 0
    for text in texts:
        try:
            send(text)
        except RefusedError as error:
            if error.status == 401:
                raise
            refused += 1
    return refused
