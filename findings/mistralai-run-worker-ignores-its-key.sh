#!/usr/bin/env bash
# The official worker ignores the API key that run_worker is given.
#
# Versions: mistralai-workflows 3.16.0, temporalio 1.29.0. Seen with CPython 3.12, which it needs.
# One would guess: run_worker([…], api_key="given") sends "given", whatever the environment says.
# What happens: by default the worker asks the platform for its settings first ("config discovery"). Then
#   the argument is not used at all, and nothing says so; for namespace= there is a warning. The key of the
#   environment is sent, and without one the request has no Authorization header.
# It matters because a worker that is given a key of its own runs with the permissions of another one.
# Output seen:
#   MISTRAL_API_KEY='of-the-environment', api_key='given': Bearer of-the-environment
#   MISTRAL_API_KEY='', api_key='given': None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    mistralai-workflows==3.16.0 temporalio==1.29.0
cat > "$folder/worker.py" <<'PYTHON'
import asyncio

import mistralai.workflows as workflows


@workflows.workflow.define(name="nothing")
class Nothing:
    @workflows.workflow.entrypoint
    async def run(self) -> str:
        return ""


asyncio.run(workflows.run_worker([Nothing], api_key="given"))
PYTHON
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import http.server
import os
import subprocess
import sys
import threading

EXPECTED = {
    "of-the-environment": {"Bearer of-the-environment"},
    "": {None},
}
seen = set()
arrived = threading.Event()


class Platform(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.add(self.headers["authorization"])
        arrived.set()
        self.send_error(401)

    do_POST = do_GET

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = {
    **os.environ,
    "SERVER_URL": f"http://127.0.0.1:{server.server_port}",
    "DEPLOYMENT_NAME": "findings",
    "OTEL_ENABLED": "false",
}
right = True
for key, expected in EXPECTED.items():
    seen.clear()
    arrived.clear()
    worker = subprocess.Popen(
        [sys.executable, "worker.py"],
        env={**environment, "MISTRAL_API_KEY": key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    arrived.wait(60)
    worker.kill()
    worker.wait()
    print(f"MISTRAL_API_KEY={key!r}, api_key='given': {', '.join(map(str, seen)) or 'no request'}")
    right = right and seen == expected
server.shutdown()
sys.exit(0 if right else "the behaviour has changed")
PYTHON
