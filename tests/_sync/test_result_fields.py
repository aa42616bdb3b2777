# Generated from tests/_async/test_result_fields.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 9888caaae93b540b

"""Activity fields in results: loaded by the client that names the result's type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from mistral_offload import Mistral, OffloadableField, OffloadableFile
from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    EncryptionNotConfiguredError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    ReferenceRefusedError,
)
from mistral_offload.storage import open_store
from tests._sync.recorder import Recording, execution, make_client
from tests.fields.stored_results import store_result

TEXT = "All work and no play. " * 100
ENCRYPTION = PayloadEncryptionConfig.model_validate(
    {"mode": "full", "main_key": "6b" * 32, "encrypt_fields": True}
)


class Page(BaseModel):
    number: int
    scan: OffloadableField[bytes]


class Annex(BaseModel):
    audio: OffloadableFile
    notes: OffloadableField[list[str]]


class Book(BaseModel):
    title: str
    text: OffloadableField[str]
    pages: list[Page] = []
    summary: OffloadableField[str] | None = None
    by_name: dict[str, OffloadableField[int]] = {}
    annex: OffloadableField[Annex] | None = None


def places(path: Path) -> dict[str, Any]:
    """Return a store for payloads, and one of its own for fields."""
    payloads = BlobStorageConfig(storage_provider="local", path=path / "payloads")
    fields = BlobStorageConfig(storage_provider="local", path=path / "fields", cache_memory_bytes=0)
    return {
        "workflow_payload_offloading": PayloadOffloadingConfig(storage_config=payloads),
        "field_offloading": FieldOffloadingConfig(storage_config=fields, min_size_bytes=1),
    }


def client_of(result: Any, settings: Mapping[str, Any]) -> Mistral:
    reply = httpx.Response(200, json=execution(result=result))
    return make_client(Recording([reply]), namespace="ns", **settings)


def load(result: Any, settings: Mapping[str, Any], kind: Any = Book) -> Any:
    client = client_of(result, settings)
    execution = client.workflows.execute_workflow("books", wait_for_result=True, result_type=kind)
    return execution.result


def stored(given: Any, path: Path, encryption: PayloadEncryptionConfig | None = None) -> Any:
    return store_result(given, places(path)["field_offloading"], encryption)


@pytest.mark.parametrize("encryption", [None, ENCRYPTION], ids=["clear", "encrypted"])
def test_fields_have_their_values(
    tmp_path: Path, encryption: PayloadEncryptionConfig | None
) -> None:
    talk = OffloadableFile.from_bytes(TEXT.encode(), name="talk.wav")
    given = Book(
        title="The Shining",
        text=OffloadableField(TEXT),
        pages=[Page(number=n, scan=OffloadableField(bytes([255, n]))) for n in range(20)],
        summary=OffloadableField("short"),
        by_name={"answer": OffloadableField(42)},
        annex=OffloadableField(Annex(audio=talk, notes=OffloadableField(["a", "b"]))),
    )
    result = stored(given, tmp_path, encryption)
    assert result["text"]["value"] is None
    assert result["pages"][7]["scan"]["blob_ref"]
    settings = places(tmp_path) | {"workflow_payload_encryption": encryption}
    book = load(result, settings)
    assert (book.text.value, book.text.blob_ref) == (TEXT, None)
    assert [page.scan.get_value() for page in book.pages] == [bytes([255, n]) for n in range(20)]
    assert book.summary is not None
    assert book.summary.get_value() == "short"
    assert book.by_name["answer"].get_value() == 42
    assert book.annex is not None
    annex = book.annex.get_value()
    assert annex.notes.get_value() == ["a", "b"]
    assert annex.audio.open().read() == TEXT.encode()
    # A field may also be the whole result, or nothing at all.
    page = load({"result": result["pages"][7]["scan"]}, settings, OffloadableField[bytes])
    assert page.get_value() == bytes([255, 7])
    nothing = load(stored(Book(title="", text=OffloadableField("")), tmp_path), settings)
    assert (nothing.text.get_value(), nothing.summary) == ("", None)
    client = client_of(result, settings)
    untyped = client.workflows.execute_workflow_and_wait("books")
    assert untyped == result, "without a type nothing is known of fields"
    reply = make_client(
        Recording([httpx.Response(200, json={"query_name": "q", "result": result})])
    )
    reply.configure_encoding(**settings)
    book = (
        reply.workflows.executions.query_workflow_execution("e-1", name="q", result_type=Book)
    ).result
    assert book.text.get_value() == TEXT


def test_the_store_of_payloads_is_the_default(tmp_path: Path) -> None:
    settings = places(tmp_path)
    payloads = settings["workflow_payload_offloading"].storage_config
    config = FieldOffloadingConfig(storage_config=payloads, min_size_bytes=1)
    result = store_result(Book(title="", text=OffloadableField(TEXT)), config)
    book = load(result, settings | {"field_offloading": None})
    assert book.text.get_value() == TEXT


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    settings = places(tmp_path)
    result = stored(Book(title="", text=OffloadableField(TEXT)), tmp_path)
    with pytest.raises(OffloadingNotConfiguredError, match="client field_offloading=FieldOff"):
        load(result, {})
    with pytest.raises(BlobNotFoundError, match=r"/text.*give it as field_offloading=") as absent:
        load(result, settings | {"field_offloading": None})
    assert absent.value.key == result["text"]["blob_ref"]
    wrong = {"title": "", "text": {"value": None, "blob_ref": "temporal-payload/ns/e/secret"}}
    with pytest.raises(ReferenceRefusedError):
        load(wrong, settings)
    with pytest.raises(PayloadDecodeError, match=r"field 'number'.*does not fit int"):
        load({"number": result["text"]}, settings, Numbered)
    encrypted = stored(Book(title="", text=OffloadableField(TEXT * 2)), tmp_path, ENCRYPTION)
    with pytest.raises(EncryptionNotConfiguredError):
        load(encrypted, settings)
    store = open_store(settings["field_offloading"].storage_config)
    store.put(result["text"]["blob_ref"], b"other bytes", overwrite=True)
    with pytest.raises(BlobCorruptedError, match=r"/text"):
        load(result, settings)
    store.delete(result["text"]["blob_ref"])
    with pytest.raises(BlobNotFoundError) as caught:
        load(result, settings)
    assert "field_offloading" not in str(caught.value), "it is configured"


class Numbered(BaseModel):
    number: OffloadableField[int]
