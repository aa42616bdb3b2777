"""Decoded payloads: values, previews with links, and errors."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.payload.jsontext import dump_json
from tests.codecserver.process import (
    EXECUTION_TOKEN,
    KEY,
    NAMESPACE,
    TOKEN,
    CodecServer,
    body,
    plain,
    store,
    store_unowned,
    variables,
)

LARGE = {"title": "The Shining", "pages": ["All work and no play  " * 100] * 2_500}  # 5 MB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blobs")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[CodecServer]:
    with CodecServer(variables(folder)) as running:
        yield running


def test_small_values_are_shown_whole(server: CodecServer, folder: Path) -> None:
    values = [{"title": "The Shining"}, "text", None, [1, 2]]
    assert server.show(*(store(value, folder) for value in values)) == values


def test_a_payload_of_no_execution(server: CodecServer, folder: Path) -> None:
    payload = store_unowned(LARGE, folder)
    (shown,) = server.show(payload)
    assert shown["size"] == len(dump_json(LARGE))
    (downloaded,) = server.post(payload, path="/download")
    assert json.loads(downloaded.data) == LARGE


def test_payloads_that_were_not_encoded_pass_through(server: CodecServer) -> None:
    payloads = [plain({"a": 1}), Payload(metadata={"encoding": b"binary/plain"}, data=b"\0\1")]
    assert server.post(*payloads) == payloads


def test_an_empty_payload(server: CodecServer) -> None:
    """Temporalio adds one to a schedule that is updated with its own description."""
    empty = Payload()
    assert server.post(empty, plain(1), empty) == [empty, plain(1), empty]
    assert server.post(empty, path="/download") == [empty]
    (encoded,) = server.post(empty, path="/encode")
    assert encoded.metadata["encoding"] == b"binary/encrypted"
    assert server.post(encoded) == [empty]


def test_a_large_value_is_a_preview_with_a_link_to_all_of_it(
    server: CodecServer, folder: Path
) -> None:
    text = dump_json(LARGE)
    payload = store(LARGE, folder)
    assert len(payload.data) < 1000  # a reference
    (shown,) = server.show(payload)
    assert shown["size"] == len(text)
    assert shown["sha256"] == hashlib.sha256(text).hexdigest()
    assert text.decode().startswith(shown["preview"])
    assert 1000 < len(shown["preview"]) < 10_000
    assert list(shown) == ["shown", "size", "sha256", "preview", "download"]
    # A browser follows the link without the token, and without the namespace.
    download = server.http.build_request("GET", shown["download"])
    del download.headers["authorization"], download.headers["x-namespace"]
    response = server.http.send(download)
    assert response.content == text
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_post_download_returns_whole_values(server: CodecServer, folder: Path) -> None:
    (payload,) = server.post(store(LARGE, folder), path="/download")
    assert json.loads(payload.data) == LARGE


def test_a_namespace_in_front_of_the_path(server: CodecServer, folder: Path) -> None:
    payload = store(LARGE, folder)
    path = f"/{NAMESPACE}/decode"
    (shown,) = server.show(payload, path=path, headers={"x-namespace": "another"})
    assert shown["size"] == len(dump_json(LARGE))


def test_a_payload_that_cannot_be_decoded_shows_its_error_beside_the_others(
    server: CodecServer, folder: Path
) -> None:
    gone = store([LARGE], folder, execution_id="gone")
    shutil.rmtree(folder / "temporal-payload" / NAMESPACE / "gone")
    foreign = store([LARGE], folder, namespace="another")
    other_key = PayloadEncryptionConfig(mode="full", main_key="11" * 32)
    locked = store("secret text", folder, encryption=other_key)
    broken = Payload(metadata={"encoding": b"json/wf_v1"}, data=b"{}")
    shown = server.show(gone, foreign, locked, broken, store("fine", folder))
    kinds = [value["error"]["type"] for value in shown[:-1]]
    assert kinds == [
        "BlobNotFoundError",
        "ReferenceRefusedError",
        "PayloadDecryptionError",
        "PayloadDecodeError",
    ]
    assert "gone/sha256:" in shown[0]["error"]["message"]
    assert "'another'" in shown[1]["error"]["message"]
    assert shown[-1] == "fine"


def test_encoding_and_back(server: CodecServer) -> None:
    (encoded,) = server.post(plain({"a": 1}), path="/encode")
    assert encoded.metadata["encoding"] == b"binary/encrypted"
    assert b'"a"' not in encoded.data
    assert server.show(encoded) == [{"a": 1}]


def test_a_payload_too_large_to_encode_inline(server: CodecServer) -> None:
    response = server.http.post("/encode", content=body(plain("x" * 2_200_000)))
    assert response.status_code == 422
    assert "PayloadTooLargeError" in response.text


def test_execution_tokens_and_keys_are_not_disclosed(server: CodecServer, folder: Path) -> None:
    payload = store(LARGE, folder)
    assert payload.metadata["__internal_execution_token"] == EXECUTION_TOKEN.encode()
    response = server.http.post("/decode", content=body(payload))
    shown = b64decode(response.json()["payloads"][0]["data"])
    link = json.loads(shown)["download"].partition("link=")[2]
    for text in (response.content, shown, urlsafe_b64decode(link + "==")):
        assert EXECUTION_TOKEN.encode() not in text
        assert KEY.encode() not in text


def test_values_over_the_limits(folder: Path) -> None:
    payload, longer, whole = (store(value, folder) for value in (LARGE, "x" * 2_000, "x" * 900))
    with CodecServer(variables(folder), "--largest-mb", "2", "--preview-bytes", "1KiB") as server:
        preview, shown = server.show(longer, whole)
        assert (preview["size"], shown) == (2_002, "x" * 900)
        (shown,) = server.show(payload)
        assert shown["error"]["type"] == "PayloadTooLargeError"
        code, log = server.end(signal.SIGTERM)
    assert code == 0
    assert "PayloadTooLargeError" in log or "over the platform's limit" in log
    assert TOKEN not in log
