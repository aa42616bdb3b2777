"""A platform that records what workers report, and fails as a test prescribes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REGISTER = "/v1/workflows/executions/register"
TOKEN = "/v2/workflows/workers/event-route-token"
V1 = "/v1/workflows/events"
V2 = "/v2/workflows/events"

Body = dict[str, Any]


@dataclass
class Fault:
    """A response in place of the usual one.

    Attributes:
        path: beginning of the paths it applies to.
        status: the HTTP status; None to hang up without a response.
        body: the body.
        left: how many requests it applies to.
        hold: an event that the response waits for.
    """

    path: str
    status: int | None = 500
    body: Body = field(default_factory=lambda: {"detail": "injected"})
    left: int = 1_000_000
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Report:
    """A request, and the status of its response; None while it is held."""

    path: str
    body: Body
    route_token: str | None
    size: int
    authorization: str | None = None

    @property
    def events(self) -> list[Body]:
        """The events in it."""
        if "event" in self.body:
            return [self.body["event"]]
        found: list[Body] = self.body.get("events", [])
        return found


class ReportingPlatform:
    """Responds like the platform and records reports.

    Attributes:
        requests: all reports, in the order of arrival.
        taken: those that get the usual response.
        faults: responses in place of the usual ones.
    """

    def __init__(self, temporal: str = "", namespace: str = "default") -> None:
        self.requests: list[Report] = []
        self.taken: list[Report] = []
        self.faults: list[Fault] = []
        self.token_seconds = 3600
        self.api_key = "key"
        self._deployments: list[Any] = []
        self._whoami = {"scheduler_url": temporal, "namespace": namespace, "tls": False}
        self._changed = threading.Condition()
        self._tokens = 0
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                platform._respond(self, b"")

            def do_POST(self) -> None:
                platform._respond(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                pass  # a worker that was stopped hangs up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def __enter__(self) -> ReportingPlatform:
        return self

    def __exit__(self, *_: object) -> None:
        for fault in self.faults:
            if fault.hold is not None:
                fault.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def server_url(self) -> str:
        """URL of the REST API."""
        return self.url

    def events(self, execution_id: str) -> list[Body]:
        """Return the events of an execution that were taken, in the order of arrival."""
        return [
            event
            for report in list(self.taken)
            for event in report.events
            if event["workflow_exec_id"] == execution_id
        ]

    def registrations(self, execution_id: str) -> list[Body]:
        """Return the registrations of an execution's runs."""
        return [
            report.body
            for report in list(self.taken)
            if report.path == REGISTER and report.body["temporal_workflow_id"] == execution_id
        ]

    def wait_for(self, execution_id: str, types: Iterable[str], seconds: float = 30) -> list[Body]:
        """Wait until events of all these types were taken; return all of the execution."""
        wanted = set(types)

        def has_all() -> bool:
            return wanted <= {event["event_type"] for event in self.events(execution_id)}

        self.wait_until(has_all, f"{sorted(wanted)} of {execution_id}", seconds)
        return self.events(execution_id)

    def wait_until(self, condition: Any, what: str, seconds: float = 30) -> None:
        """Wait until something has been received."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                seen = [
                    (report.path, [event["event_type"] for event in report.events])
                    for report in self.requests
                ]
                raise AssertionError(f"not within {seconds} s: {what}; received: {seen}")

    def _respond(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        path = handler.path.partition("?")[0]
        body = json.loads(raw) if raw else {}
        headers = handler.headers
        report = Report(
            path, body, headers["x-workflow-route-token"], len(raw), headers["authorization"]
        )
        is_report = path.startswith((REGISTER, TOKEN, V1, V2))
        with self._changed:
            fault = next(
                (each for each in self.faults if path.startswith(each.path) and each.left > 0), None
            )
            if fault is not None:
                fault.left -= 1
            if is_report:
                self.requests.append(report)
            self._changed.notify_all()
        if fault is not None:
            if fault.hold is not None:
                fault.hold.wait(60)
            if fault.status is None:
                handler.close_connection = True
                return
        status, document = (
            (200, self._usual(path, body)) if fault is None else (fault.status or 500, fault.body)
        )
        if fault is None and is_report:
            # Before the response: the worker may have ended right after it.
            with self._changed:
                self.taken.append(report)
                self._changed.notify_all()
        content = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        handler.wfile.flush()

    def _usual(self, path: str, body: Body) -> Body:
        if path.endswith("/whoami"):
            return {**self._whoami, "features": {}}
        if path == REGISTER:
            return {"execution_id": "0f", "created": True}
        if path == TOKEN:
            self._tokens += 1
            return {
                "route_token": f"route-{self._tokens}",
                "expires_in_seconds": self.token_seconds,
            }
        if path == "/v1/workflows":
            return {"workflows": list(self._deployments)}
        if path.endswith("/register"):
            self._deployments.append(body.get("deployment_name"))
            return {"has_conflicts": False, "workflow_registration_refs": []}
        if path.endswith("/heartbeat"):
            return {"all_active": True}
        return {"status": "success"}
