#!/usr/bin/env bash
# The official client's sync streams fail as soon as workflow encoding is configured.
#
# Versions: mistralai 3.7.0. Seen with CPython 3.11.
# One would guess: executions.stream() and stream_async() read the same events, in the same way.
# What happens: once a WorkflowEncodingConfig is set, an empty one too, each response with events is wrapped
#   in an async byte stream. The sync stream then fails with "Attempted to call a sync close on an async
#   stream"; the async stream works.
# It matters because large values need that configuration, so only stream_async can be recommended with it.
# Output seen:
#   sync, not configured: [1]
#   async, not configured: [1]
#   sync, configured: RuntimeError
#   async, configured: [1]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mistralai==3.7.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mistralai.client import Mistral
from mistralai.extra.workflows.encoding import WorkflowEncodingConfig, configure_workflow_encoding

EVENT = {
    "event_id": "1",
    "event_timestamp": 1,
    "root_workflow_exec_id": "e",
    "parent_workflow_exec_id": None,
    "workflow_exec_id": "e",
    "workflow_run_id": "r",
    "workflow_name": "w",
    "event_type": "ACTIVITY_TASK_STARTED",
    "attributes": {
        "task_id": "2",
        "activity_name": "a",
        "input": {"type": "json", "value": [1], "encoding_options": None},
    },
}
FRAME = {
    "stream": "s",
    "data": EVENT,
    "workflow_context": {"namespace": "n", "workflow_name": "w", "workflow_exec_id": "e"},
    "broker_sequence": 1,
    "timestamp": "2026-01-01T00:00:00Z",
}
BODY = f"event: ACTIVITY_TASK_STARTED\ndata: {json.dumps(FRAME)}\n\n".encode()


class Platform(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)


def sync_values(client):
    try:
        with client.workflows.executions.stream(execution_id="e") as frames:
            return [frame.data.data.attributes.input.value for frame in frames][0]
    except Exception as error:
        return type(error).__name__


async def async_values(client):
    try:
        async with await client.workflows.executions.stream_async(execution_id="e") as frames:
            return [frame.data.data.attributes.input.value async for frame in frames][0]
    except Exception as error:
        return type(error).__name__


server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    for words, sync_expected in (("not configured", [1]), ("configured", "RuntimeError")):
        client = Mistral(api_key="key", server_url=f"http://127.0.0.1:{server.server_port}")
        if words == "configured":
            config = WorkflowEncodingConfig()
            asyncio.run(configure_workflow_encoding(config, client=client, namespace="n"))
        found = sync_values(client)
        print(f"sync, {words}: {found}")
        assert found == sync_expected, found
        found = asyncio.run(async_values(client))
        print(f"async, {words}: {found}")
        assert found == [1], found
finally:
    server.shutdown()
    server.server_close()
PYTHON
