"""Activity fields against recorded cases of the official worker."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, create_model

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    ConfigurationError,
    MistralOffloadError,
    OffloadableFieldError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    ReferenceRefusedError,
    StorageUnavailableError,
)
from mistral_offload.fields.field import OffloadableField, OffloadableModel
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.storage import MemoryStore
from tests.vectors import Case, Differences, b64, load, parameters

DIFFERENCES = Differences(
    {
        "offload/bytes_binary": "bytes of any content are carried, not UTF-8 only",
        "offload/int_beyond_64_bits": "integers of any size are carried",
        "offload/list_bytes": "bytes in a list are carried as pydantic carries them",
        "offload/untyped_dict": "a field without a type argument carries any JSON",
        "offload/nested_model_not_offloaded": "fields of nested models are offloaded, too",
        "offload/error/storage_missing": "refused when the configuration is made, not when used",
        "offload/error/upload_fails": "the store's own error, not one more around it",
        "offload/threshold/unicode_chars_one_short": "sizes are counted in bytes, not characters",
        "restore/arbitrary_ref": "a reference may only name an activity field (law 8)",
        "restore/error/config_without_storage": "refused when the configuration is made",
        "restore/error/optional_field": "an optional field is restored like any other",
    }
)
ERRORS: dict[str, type[MistralOffloadError]] = {
    "restore/error/missing_blob": BlobNotFoundError,
    "restore/error/no_config": OffloadingNotConfiguredError,
    "restore/error/not_json": PayloadDecodeError,
    "restore/error/wrong_type": PayloadDecodeError,
    "restore/error/model_invalid": PayloadDecodeError,
    "get_value/error/not_loaded": OffloadableFieldError,
    "get_value/error/null": OffloadableFieldError,
}
CONTENT_ADDRESS = re.compile(r"/sha256:[0-9a-f]{64}/(?:json|bytes)-[0-9]+/")


class Color(str, Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    id: int
    name: str
    score: float | None = None
    at: datetime | None = None
    color: Color | None = None
    uid: UUID | None = None


class DocStr(OffloadableModel):
    text: OffloadableField[str]
    meta: str = "m"


class DocBytes(OffloadableModel):
    blob: OffloadableField[bytes]


class DocInt(OffloadableModel):
    n: OffloadableField[int]


class DocListInt(OffloadableModel):
    items: OffloadableField[list[int]]


class DocListStr(OffloadableModel):
    items: OffloadableField[list[str]]


class DocListItem(OffloadableModel):
    items: OffloadableField[list[Item]]


class DocListBytes(OffloadableModel):
    items: OffloadableField[list[bytes]]


class DocDictInt(OffloadableModel):
    table: OffloadableField[dict[str, int]]


class DocDictItem(OffloadableModel):
    table: OffloadableField[dict[str, Item]]


class DocItem(OffloadableModel):
    item: OffloadableField[Item]


class DocMixed(OffloadableModel):
    title: str
    text: OffloadableField[str]
    blob: OffloadableField[bytes]
    item: OffloadableField[Item]
    nothing: OffloadableField[str] = OffloadableField()
    plain: dict[str, Any] = Field(default_factory=dict)


class DocUntyped(OffloadableModel):
    raw: OffloadableField  # type: ignore[type-arg]


class DocOptional(OffloadableModel):
    text: OffloadableField[str] | None = None


class DocAlias(OffloadableModel, populate_by_name=True):
    text: OffloadableField[str] = Field(alias="textAlias")


class DocNested(OffloadableModel):
    inner: DocStr


class NotOffloadable(BaseModel):
    text: str


MODELS: dict[str, type[BaseModel]] = {
    cls.__name__: cls
    for cls in [
        *(DocStr, DocBytes, DocInt, DocListInt, DocListStr, DocListItem, DocListBytes, DocDictInt),
        *(DocDictItem, DocItem, DocMixed, DocUntyped, DocOptional, DocAlias, DocNested),
        NotOffloadable,
    ]
}
MODELS["DocUnicodeName"] = create_model(
    "DocUnicodeName", __base__=OffloadableModel, **{"été": (OffloadableField[str], ...)}
)


class FailingStore(MemoryStore):
    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        raise StorageUnavailableError("no answer", provider="memory", container="m", key=key)


def make_offloader(case: Case, store: MemoryStore) -> FieldOffloader:
    recorded = case["config"]
    if recorded is None:
        return FieldOffloader()
    values: dict[str, Any] = {"storage_config": BlobStorageConfig(bucket_name="b")}
    if recorded.get("storage", ...) is None:
        del values["storage_config"]
    if "min_size_bytes" in recorded:
        values["min_size_bytes"] = recorded["min_size_bytes"]
    return FieldOffloader(FieldOffloadingConfig(**values), store=store)


def make_model(case: Case) -> BaseModel:
    cls = MODELS[case["model"]]
    values: dict[str, Any] = {}
    for name, given in case["value"].items():
        annotation = str(cls.model_fields[name].annotation)
        values[name] = make_field(given) if "OffloadableField" in annotation else given
    return cls(**values)


def make_field(given: Any) -> OffloadableField[Any]:
    if isinstance(given, dict) and "$blob_ref" in given:
        return OffloadableField(blob_ref=given["$blob_ref"])
    if isinstance(given, dict) and "$field_null" in given:
        return OffloadableField(value=None)
    return OffloadableField(value=plain(given))


def plain(given: Any) -> Any:
    if isinstance(given, dict) and "$bytes_b64" in given:
        return b64(given["$bytes_b64"])
    return [plain(item) for item in given] if isinstance(given, list) else given


def as_recorded(text: bytes, uuid: str) -> Any:
    """Replace content addresses in keys with the uuid that the official worker drew."""
    return load_json(CONTENT_ADDRESS.sub(f"/{uuid}/", text.decode()))


def content(blob: bytes) -> Any:
    """Normalize JSON; times become instants, which the official worker formats differently."""
    try:
        return load_json(re.sub(r"\+00:00\"", 'Z"', blob.decode()))
    except (PayloadDecodeError, UnicodeDecodeError):
        return blob


def cases(op: str) -> list[Case]:
    return [case for case in load("field_offloading") if case["op"] == op]


@pytest.mark.parametrize("case", parameters(cases("offload")))
async def test_offload(case: Case) -> None:
    store = FailingStore() if case.get("storage_fails") else MemoryStore()
    if case["name"] == "offload/error/storage_missing":
        with pytest.raises(ConfigurationError, match="storage_config"):
            make_offloader(case, store)
        return
    offloader, model = make_offloader(case, store), make_model(case)
    place = {"namespace": case["namespace"], "run_id": case["run_id"]}
    if case["name"] == "offload/error/upload_fails":
        with pytest.raises(StorageUnavailableError):
            await offloader.offload_async(model, **place)
        return
    offloaded = await offloader.offload_async(model, **place)
    if case["name"] in DIFFERENCES:
        assert [stat.key for stat in store.list()]
        read = type(model).model_validate_json(dump_json(offloaded))
        assert await offloader.restore_async(read) == model
        return
    uuid = (case["uuid4s"] or ["-"])[0]
    expected = case["expected"]
    assert as_recorded(dump_json(offloaded), uuid) == expected["json"]
    blobs = {CONTENT_ADDRESS.sub(f"/{uuid}/", s.key): store.get(s.key) for s in store.list()}
    recorded = {key: b64(text) for key, text in case["blobs"].items()}
    assert {key: content(blob) for key, blob in blobs.items()} == {
        key: content(blob) for key, blob in recorded.items()
    }
    assert bool(blobs) is expected["offloaded"]


@pytest.mark.parametrize("case", parameters(cases("restore")))
async def test_restore(case: Case) -> None:
    store = MemoryStore()
    for key, text in case["blobs_in"].items():
        store.put(key, b64(text))
    if case["name"] == "restore/error/config_without_storage":
        with pytest.raises(ConfigurationError, match="storage_config"):
            make_offloader(case, store)
        return
    offloader = make_offloader(case, store)
    model = MODELS[case["model"]].model_validate_json(dump_json(case["input_json"]))
    if case["name"] == "restore/arbitrary_ref":
        with pytest.raises(ReferenceRefusedError):
            await offloader.restore_async(model)
        assert not store.requests["get", "any/where"]
    elif case["name"] in DIFFERENCES:
        restored = await offloader.restore_async(model)
        assert restored.text.get_value() == load_json(b64(next(iter(case["blobs_in"].values()))))
    elif "error" in case["expected"]:
        with pytest.raises(ERRORS[case["name"]]):
            await offloader.restore_async(model)
    else:
        restored = await offloader.restore_async(model)
        for name, expected in case["expected"]["restored"].items():
            member = getattr(restored, name)
            if "field" not in expected:
                assert shown(member) == expected
                continue
            assert shown(member.value) == expected["field"]
            assert member.blob_ref == expected["blob_ref"]


def shown(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"kind": "bytes", "b64": base64.b64encode(value).decode()}
    plain = load_json(dump_json(value))
    if isinstance(value, BaseModel):
        return {"kind": "model", "model": type(value).__name__, "value": plain}
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return {"kind": "list_of_models", "model": type(value[0]).__name__, "value": plain}
    if isinstance(value, dict) and any(isinstance(item, BaseModel) for item in value.values()):
        return {"kind": "map_of_models", "value": plain}
    return {"kind": "json", "value": plain}


@pytest.mark.parametrize("case", parameters(cases("get_value")))
def test_get_value(case: Case) -> None:
    model = MODELS[case["model"]].model_validate_json(dump_json(case["input_json"]))
    field: OffloadableField[Any] = getattr(model, case["field"])
    if "error" in case["expected"]:
        with pytest.raises(ERRORS[case["name"]], match=f"field '{case['field']}'"):
            field.get_value()
    else:
        assert shown(field.get_value()) == case["expected"]["value"]


def test_every_case_is_run() -> None:
    every = load("field_offloading")
    assert len(every) == 64
    assert {case["op"] for case in every} == {"offload", "restore", "get_value"}
    assert not DIFFERENCES.unused(every)
    assert not set(ERRORS) - {case["name"] for case in every}
    assert {case["model"] for case in every} <= set(MODELS)


def test_the_models_are_the_recorded_ones() -> None:
    import json
    from pathlib import Path

    path = Path(__file__).parents[1] / "vectors" / "field_offloading.json"
    recorded: Mapping[str, Mapping[str, str]] = json.loads(path.read_text())["models"]
    assert set(recorded) == {*MODELS, "Item"}
    for name, fields in recorded.items():
        if name != "Item":
            assert list(MODELS[name].model_fields) == list(fields)
