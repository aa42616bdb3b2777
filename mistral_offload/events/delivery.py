"""One exchange with the platform: a POST, its headers, and the meaning of its response."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from mistral_offload.api.connection import USER_AGENT
from mistral_offload.events.event import ReportedRun
from mistral_offload.events.transport import Reply, Transport

_MOST_RETRY_AFTER_SECONDS: Final = 60.0
_TRANSIENT: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500


class UnreachableError(Exception):
    """The platform did not respond, or cannot respond now; the report may be sent again.

    Attributes:
        status: the HTTP status; None if no response came.
        retry_after_seconds: time after which the platform wants to be called again, if it says so.
    """

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class RefusedError(Exception):
    """The platform refused a report, and would again.

    Attributes:
        status: the HTTP status.
        code: the platform's code of the error, if there is one.
    """

    def __init__(self, reason: str, status: int, code: str | None) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code


class Delivery:
    """Posts reports over the connection of one thread, within a time limit.

    Args:
        transport: the connection.
        authorization: returns the value of the header, or None without a key.
        seconds: time limit of one request.
    """

    def __init__(
        self, transport: Transport, authorization: Callable[[], str | None], seconds: float
    ) -> None:
        self._transport = transport
        self._authorization = authorization
        self._seconds = seconds
        self._deadline = float("inf")

    def stop_by(self, deadline: float) -> None:
        """Bound all requests by a time of `time.monotonic`."""
        self._deadline = deadline

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def post(
        self, path: str, body: bytes, run: ReportedRun, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """Send a request about a run, and return the JSON object of the response.

        A response that is JSON but no object counts as an empty object.

        Raises:
            UnreachableError: no response came, or one that says that the next may succeed.
            RefusedError: the platform refused the request.
        """
        seconds = min(self._seconds, self._deadline - time.monotonic())
        if seconds <= 0:
            raise UnreachableError("the time for reports is over")
        sent = {
            "accept": "application/json",
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "x-metadata": _metadata(run),
            **(headers or {}),
        }
        if authorization := self._authorization():
            sent["authorization"] = authorization
        try:
            reply = self._transport.post(path, body, sent, seconds)
        except OSError as error:
            reason = "no response in time" if isinstance(error, TimeoutError) else str(error)
            raise UnreachableError(f"{path}: {reason or type(error).__name__}") from error
        return _read(path, reply)


def _read(path: str, reply: Reply) -> Mapping[str, Any]:
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    members = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    reason = f"{path}: HTTP {reply.status}"
    if 200 <= reply.status < 300:
        if document is None and reply.body.strip() != b"null":
            raise UnreachableError(f"{path}: the response is not JSON")
        return members
    if reply.status in _TRANSIENT or reply.status >= _FIRST_SERVER_ERROR:
        raise UnreachableError(reason, reply.status, _seconds(reply.retry_after))
    code = members.get("code")
    if not isinstance(code, str) and isinstance(members.get("detail"), dict):
        code = members["detail"].get("code")
    code = code if isinstance(code, str) else None
    raise RefusedError(f"{reason} {code}" if code else reason, reply.status, code)


def _metadata(run: ReportedRun) -> str:
    return json.dumps(
        {"call_type": "workflows", "execution_id": run.execution_id, "run_id": run.run_id}
    )


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None for a date, which nothing here sends."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _MOST_RETRY_AFTER_SECONDS)  # also for "nan", "inf"
