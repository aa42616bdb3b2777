"""The command started as a user starts it, and payloads as workers store them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads
from typing_extensions import Self

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal import ContextValue, data_converter
from mistral_offload.workflows import WorkerSettings
from tests.bounds import kill, output_of, read_line, start

TOKEN = "a-token-for-tests-only"
KEY = "8f" * 32
NAMESPACE = "mistral-workflows"
EXECUTION_TOKEN = "an-execution-token-for-tests"


def variables(folder: Path, *, key: str = KEY) -> dict[str, str]:
    """Return a worker's variables: a directory as its store, and full encryption."""
    return {
        "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__STORAGE_PROVIDER": "local",
        "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__PATH": str(folder),
        "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
        "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": key,
    }


def store_unowned(value: Any, folder: Path) -> Payload:
    """Return a payload for which Temporal names no execution, with its blob in the store."""
    converter = data_converter(_encoder(folder), namespace=NAMESPACE)
    (payload,) = asyncio.run(converter.encode([value]))
    return payload


def store(
    value: Any,
    folder: Path,
    *,
    namespace: str = NAMESPACE,
    execution_id: str = "e",
    encryption: PayloadEncryptionConfig | None = None,
) -> Payload:
    """Return a payload as stored in a history, with its blob in the store."""
    encoder = _encoder(folder, encryption)
    context = PayloadContext(namespace, execution_id, execution_token=EXECUTION_TOKEN)
    (payload,) = asyncio.run(data_converter(encoder).encode([ContextValue(value, context)]))
    return payload


def _encoder(folder: Path, encryption: PayloadEncryptionConfig | None = None) -> PayloadEncoder:
    settings = WorkerSettings(
        _env_file=None,
        temporal_payload_offloading={
            "storage_config": {"storage_provider": "local", "path": folder},
        },
    )
    return PayloadEncoder(
        settings.payload_offloading,
        encryption=encryption or PayloadEncryptionConfig(mode="full", main_key=KEY),
    )


class CodecServer:
    """A running ``mistral-offload codec-server`` on a free port, in a separate process.

    Attributes:
        url: the server's base URL.
        http: a client that sends the token.
    """

    def __init__(self, environment: Mapping[str, str], *options: str) -> None:
        command = [sys.executable, "-m", "mistral_offload.cli", "codec-server"]
        self._process = start(
            [*command, "--json", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MISTRAL_OFFLOAD_CODEC_TOKEN": TOKEN, **environment},
        )
        self.url = self._read_announcement()["url"]
        self.http = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {TOKEN}", "x-namespace": NAMESPACE},
            timeout=30,
        )

    def post(self, *payloads: Payload, path: str = "/decode", **options: Any) -> list[Payload]:
        """Send payloads, and return those of the response."""
        response = self.http.post(path, content=body(*payloads), **options)
        assert response.status_code == 200, response.text
        return list(ParseDict(response.json(), Payloads()).payloads)

    def show(self, *payloads: Payload, **options: Any) -> list[Any]:
        """Send payloads, and return the JSON that a page shows for each of the response."""
        shown = self.post(*payloads, **options)
        assert [payload.metadata["encoding"] for payload in shown] == [b"json/plain"] * len(shown)
        return [json.loads(payload.data) for payload in shown]

    def end(self, number: int) -> tuple[int, str]:
        """Send it a signal; return its exit code, and its whole stderr."""
        self._process.send_signal(number)
        _, said = output_of(self._process)
        return self._process.returncode, said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.http.close()
        kill(self._process)

    def _read_announcement(self) -> dict[str, Any]:
        said = ""
        while line := read_line(self._process):
            said += line
            if line == "}\n":
                return dict(json.loads(said))
        raise AssertionError(f"it has ended: {said} {output_of(self._process)[1]}")


def body(*payloads: Payload) -> bytes:
    """Return the protocol's JSON, as Temporal's UI sends it."""
    return json.dumps(MessageToDict(Payloads(payloads=payloads))).encode()


def plain(value: Any) -> Payload:
    """Return a payload without any transform."""
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def base64_of(data: bytes) -> str:
    """Encode bytes as metadata in the protocol's JSON."""
    return base64.b64encode(data).decode()
