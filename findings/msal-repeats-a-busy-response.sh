#!/usr/bin/env bash
# After one 503 of a managed identity endpoint, azure-identity sends no further request for a minute.
#
# Versions: azure-identity 1.27.0, msal 1.39.0, against a server of Python's standard library. Seen with
#   CPython 3.11.
# One would guess: get_token, called again after a short outage, requests the token again.
# What happens: MSAL keeps the response and repeats its error, so the second and third call fail without a
#   request, although the endpoint responds properly by then. A new credential object gets the token.
# It matters because a retry around get_token cannot succeed within that minute.
# Output seen:
#   call 1: CredentialUnavailableError, requests so far: 1
#   call 2: CredentialUnavailableError, requests so far: 1
#   call 3: CredentialUnavailableError, requests so far: 1
#   a new credential: a token, requests so far: 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check azure-identity==1.27.0 msal==1.39.0
"$folder/venv/bin/python" - <<'PYTHON'
import http.server
import json
import logging
import os
import threading
import time

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential


logging.disable()  # the credential logs each failure


class Endpoint(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        Endpoint.requests += 1
        expires = str(int(time.time()) + 3600)
        token = {"access_token": "t", "expires_on": expires, "resource": "r", "token_type": "Bearer"}
        body = json.dumps(token if Endpoint.requests > 1 else {"message": "busy"}).encode()
        self.send_response(200 if Endpoint.requests > 1 else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["IDENTITY_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}/msi/token"
os.environ["IDENTITY_HEADER"] = "h"
scope = "https://storage.azure.com/.default"


def get(credential):
    try:
        credential.get_token(scope)
    except ClientAuthenticationError as error:
        return type(error).__name__
    return "a token"


credential = ManagedIdentityCredential(retry_total=0)
seen = []
for call in (1, 2, 3):
    seen.append(get(credential))
    print(f"call {call}: {seen[-1]}, requests so far: {Endpoint.requests}")
assert seen == ["CredentialUnavailableError"] * 3 and Endpoint.requests == 1, seen
found = get(ManagedIdentityCredential(retry_total=0))
print(f"a new credential: {found}, requests so far: {Endpoint.requests}")
assert found == "a token" and Endpoint.requests == 2
PYTHON
