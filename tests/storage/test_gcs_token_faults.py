"""Services that give Google's tokens: short faults are transient, refusals name the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from google.auth import exceptions as auth

from mistral_offload.errors import (
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from mistral_offload.storage._gcs_errors import Target, translate_error
from tests.servers.credential_service import CredentialService, Response


class Received:
    def __init__(self, status: int) -> None:
        self.status = status


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def refresh_error(cause: Exception) -> Exception:
    return raised_from(auth.RefreshError(cause), cause)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("error", "kind", "named"),
    [
        (refresh_error(auth.TransportError("Response status: 503")), StorageUnavailableError,
         "metadata server or token service"),
        (refresh_error(auth.TransportError("m", Received(429))), StorageUnavailableError,
         "metadata server"),
        (refresh_error(auth.TransportError("m", Received(404))), StorageAccessDeniedError,
         "metadata server refused a token: HTTP 404"),
        (auth.RefreshError("m", retryable=True), StorageUnavailableError, "token service"),
        (auth.TransportError("no route"), StorageUnavailableError, "token service"),
        (auth.RefreshError("invalid_grant"), StorageAccessDeniedError, "refused"),
    ],
)  # fmt: skip
def test_faults_of_token_services(
    error: Exception, kind: type[MistralOffloadError], named: str
) -> None:
    found = translate_error(error, Target("put", "b", "k", "https://storage.googleapis.com"))
    assert type(found) is kind
    assert named in str(found)
    assert "storage.googleapis.com" not in str(found)


CHILD = """
import sys
import urllib.request
from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError
from mistral_offload.storage.gcs import GCSStore

config = BlobStorageConfig(
    storage_provider="gcs", bucket_id="b", endpoint_url="https://127.0.0.1:1", retry_seconds=0
)
for phase in ("refusing", "busy"):
    urllib.request.urlopen(f"{sys.argv[1]}/{phase}", timeout=30).read()
    with GCSStore(config) as store:
        try:
            store.get("k")
        except MistralOffloadError as error:
            print(phase, type(error).__name__, error, flush=True)
"""


def test_the_metadata_server(tmp_path: Path) -> None:
    """In a child process: google-auth reads the server's address when it is imported."""
    phase = ""

    def give(path: str, body: str) -> Response:
        nonlocal phase
        if path in ("/refusing", "/busy"):
            phase = path[1:]
            service.paths.clear()
        if "token" in path:
            if phase == "refusing":
                return 404, json.dumps({"error": "no service account"})
            if sum("token" in each for each in service.paths) == 1:
                return 503, json.dumps({"error": "busy"})
            return 200, json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "B"})
        return 200, json.dumps({"email": "a@b", "scopes": [], "aliases": ["default"]})

    with CredentialService(give) as service:
        environment = {
            **os.environ,
            "CLOUDSDK_CONFIG": str(tmp_path),
            "GOOGLE_CLOUD_PROJECT": "p",
            "NO_GCE_CHECK": "false",
        } | dict.fromkeys(
            ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"), service.host
        )
        environment.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
        ended = subprocess.run(
            [sys.executable, "-c", CHILD, service.url],
            env=environment, capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    refusing, busy = ended.stdout.splitlines()
    assert refusing.startswith("refusing StorageAccessDeniedError Google's metadata server refused")
    assert "HTTP 404" in refusing
    # The token was got in the end: what does not respond is the store.
    said = "no response, or an incomplete one"
    if version("google-auth").startswith("2.26."):  # makes one attempt only
        said = "Google's metadata server or token service gave no token"
    assert busy.startswith(f"busy StorageUnavailableError {said}")
