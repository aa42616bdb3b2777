"""Errors of stores that do not respond name the address that was tried."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import StorageUnavailableError
from mistral_offload.storage import open_store

QUICK: dict[str, Any] = {"retry_seconds": 0, "connect_timeout_seconds": 5}


@pytest.fixture
def closed() -> str:
    """Address of a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("provider", ["s3", "s3 by variable", "azure", "gcs"])
def test_the_address_that_was_tried(
    provider: str, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://{closed}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A" * 20)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b" * 40)
    if provider == "s3 by variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    string = f"AccountName=acme;AccountKey=c2VjcmV0;BlobEndpoint={url}/acme"
    settings: dict[str, dict[str, Any]] = {
        "s3": {"bucket_name": "b", "region_name": "eu-west-3", "endpoint_url": url},
        "s3 by variable": {"bucket_name": "b", "region_name": "eu-west-3"},
        "azure": {
            "storage_provider": "azure",
            "container_name": "c",
            "azure_connection_string": string,
        },
        "gcs": {"storage_provider": "gcs", "bucket_id": "b", "endpoint_url": url},
    }
    store = open_store(BlobStorageConfig(**settings[provider], **QUICK))
    with pytest.raises(StorageUnavailableError, match=f"from http://{closed}") as caught:
        store.get("k")
    assert "c2VjcmV0" not in str(caught.value)
