"""Tokens with which the platform routes the events of a run, kept and renewed.

Without them, events take the older routes, below ``/v1``. The platform says so by a 404 without a
code, which is remembered for a while, and for one request by 503 or 422.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from typing import Any, Final

from mistral_offload.events.delivery import Delivery, RefusedError, UnreachableError
from mistral_offload.events.event import ReportedRun

_PATH: Final = "/v2/workflows/workers/event-route-token"
_MOST_TOKENS: Final = 1000
_SPARE_SECONDS: Final = 5.0
_MISSING_SECONDS: Final = 600.0

_NOT_THERE_YET: Final = frozenset(
    {
        "EVENT_ROUTE_SCOPE_NOT_FOUND",
        "EVENT_ROUTE_EXECUTION_TOKEN_NOT_FOUND",
        "EVENT_ROUTE_EXECUTION_NOT_MATERIALIZED",
    }
)
"""Codes for a run of which the platform does not know yet; another worker may be registering it."""


class RouteTokens:
    """The tokens of a worker's runs; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._missing_until = 0.0

    def get(self, run: ReportedRun, delivery: Delivery) -> str | None:
        """Return the token of a run, requested if needed; None if the older routes apply.

        Raises:
            UnreachableError: the platform did not respond, or does not know the run yet.
            RefusedError: the platform refuses to give a token.
        """
        now = time.monotonic()
        with self._lock:
            token, renewal = self._kept.get(run.run_id, ("", 0.0))
            if now < renewal:
                return token
            if now < self._missing_until:
                return None
        try:
            members = self._request(run, delivery)
        except UnreachableError as error:
            if error.status == 503:
                return None
            raise
        except RefusedError as error:
            if error.status == 404 and error.code is None:
                with self._lock:
                    self._missing_until = now + _MISSING_SECONDS
                return None
            if error.status == 422:
                return None
            if error.code in _NOT_THERE_YET:
                raise UnreachableError(str(error), error.status) from error
            raise
        token, seconds = members.get("route_token"), members.get("expires_in_seconds")
        if not isinstance(token, str) or not token.isprintable() or not token.isascii():
            raise RefusedError(f"{_PATH}: the response has no route_token", 200, None)
        lifetime = float(seconds) if isinstance(seconds, (int, float)) else 0.0
        with self._lock:
            self._kept[run.run_id] = token, now + max(lifetime - _SPARE_SECONDS, lifetime / 2)
            self._kept.move_to_end(run.run_id)
            if len(self._kept) > _MOST_TOKENS:
                self._kept.popitem(last=False)
        return token

    def forget(self, run: ReportedRun) -> None:
        """Forget the token of a run."""
        with self._lock:
            self._kept.pop(run.run_id, None)

    def _request(self, run: ReportedRun, delivery: Delivery) -> Any:
        body: dict[str, str | None] = {
            "execution_token": run.execution_token,
            "workflow_exec_id": run.execution_id,
            "workflow_run_id": run.run_id,
        }
        try:
            return delivery.post(_PATH, json.dumps(body).encode(), run)
        except RefusedError as error:
            # Of a run that another key's worker has registered: the token is optional.
            if error.status != 422 or run.execution_token is None:
                raise
            body["execution_token"] = None
            return delivery.post(_PATH, json.dumps(body).encode(), run)
