"""The inventory of a worker's stores lists each blob once, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mistral_offload.cleanup.inventory import Inventory
from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.cleanup.usage import add_up
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import ConfigurationError
from mistral_offload.files.reference import (
    FileDescription,
    FileReference,
    chunk_key,
    root_of_execution,
    root_of_run,
)
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import LocalStore

DIGEST = "0" * 64


def payload(execution_id: str, data: bytes = b"data", namespace: str = "ns") -> str:
    return Reference.of(data, namespace=namespace, execution_id=execution_id).key


def field(run_id: str, namespace: str = "ns") -> str:
    return FieldReference.of(
        b"data", namespace=namespace, run_id=run_id, field="f", form=ContentForm.JSON, size=4
    ).key


def storage(path: Path, **settings: Any) -> dict[str, Any]:
    return {"storage_provider": "local", "path": str(path), **settings}


def settings(payloads: Any = None, fields: Any = None) -> WorkerSettings:
    return WorkerSettings(
        temporal_payload_offloading={"storage_config": payloads},  # type: ignore[arg-type]
        activity_attributes_offloading={"storage_config": fields},  # type: ignore[arg-type]
    )


def put(path: Path, *keys: str) -> None:
    with LocalStore(path) as store:
        for key in keys:
            store.put(key, b"data")


def listed(inventory: Inventory, **options: str) -> list[str]:
    return sorted(blob.key for blob in inventory.blobs(**options))


def test_one_bucket_for_both(tmp_path: Path) -> None:
    put(tmp_path, payload("e"), field("r"), "notes.txt", "temporal-payload/notes.txt")
    inventory = Inventory.of(settings(storage(tmp_path), storage(tmp_path)))
    assert listed(inventory) == sorted([payload("e"), field("r")])


def test_a_bucket_for_each(tmp_path: Path) -> None:
    put(tmp_path / "one", payload("e"), field("not-read-there"))
    put(tmp_path / "two", field("r"), payload("not-read-there"))
    inventory = Inventory.of(settings(storage(tmp_path / "one"), storage(tmp_path / "two")))
    assert listed(inventory) == sorted([payload("e"), field("r")])


def test_only_below_the_prefix_where_either_sdk_puts_it(tmp_path: Path) -> None:
    ours, official = f"data/{payload('e')}", f"data//{payload('e')}"
    put(tmp_path, ours, official, payload("e"), f"data2/{payload('e')}", f"x/{ours}")
    inventory = Inventory.of(settings(storage(tmp_path, prefix="data/")))
    assert listed(inventory) == sorted([ours, official])
    assert {blob.owner for blob in inventory.blobs()} == {Owner("ns", OwnerKind.EXECUTION, "e")}


def test_a_prefix_the_roots_begin_with_does_not_reach_what_lies_beside_it(tmp_path: Path) -> None:
    put(tmp_path, payload("e"), f"temporal/{payload('e')}")
    inventory = Inventory.of(settings(storage(tmp_path, prefix="temporal")))
    assert listed(inventory) == [f"temporal/{payload('e')}"]


def test_by_namespace_and_by_owner(tmp_path: Path) -> None:
    others = [payload("e", namespace="ns2"), payload("e2"), field("e", namespace="ns/2")]
    put(tmp_path, payload("e"), payload("e", b"more"), field("e"), *others)
    inventory = Inventory.of(settings(storage(tmp_path), storage(tmp_path)))
    assert listed(inventory, namespace="ns2") == [payload("e", namespace="ns2")]
    assert listed(inventory, namespace="ns/2") == [field("e", namespace="ns/2")]
    owner = Owner("ns", OwnerKind.EXECUTION, "e")
    found = sorted(blob.key for blob in inventory.blobs_of(owner))
    assert found == sorted([payload("e"), payload("e", b"more")])
    found = [blob.key for blob in inventory.blobs_of(Owner("ns", OwnerKind.RUN, "e"))]
    assert found == [field("e")]


def test_read_also_only_if_asked_for(tmp_path: Path) -> None:
    put(tmp_path / "new", payload("e"))
    put(tmp_path / "old", payload("e"), field("r"))
    moved = storage(tmp_path / "new", read_also=[storage(tmp_path / "old")])
    assert len(list(Inventory.of(settings(moved)).blobs())) == 1
    stores = [blob.store for blob in Inventory.of(settings(moved), read_also=True).blobs()]
    # Without a store for fields, files are stored with the payloads.
    assert [store.container[-3:] for store in stores] == ["new", "old", "old"]


def test_files_of_clients_are_in_the_store_of_payloads(tmp_path: Path) -> None:
    file = FileDescription("a.txt", 4, DIGEST)
    sent = FileReference.of_content(file, root_of_execution("ns", "e")).key
    made = FileReference.of_content(file, root_of_run("ns", "r")).key
    chunk = chunk_key(root_of_execution("ns", "e"), DIGEST, 4)
    put(tmp_path / "one", payload("e"), sent, chunk, made)
    put(tmp_path / "two", made)
    inventory = Inventory.of(settings(storage(tmp_path / "one"), storage(tmp_path / "two")))
    assert listed(inventory) == sorted([payload("e"), sent, chunk, made])
    owned = [blob.key for blob in inventory.blobs_of(Owner("ns", OwnerKind.EXECUTION, "e"))]
    assert sorted(owned) == sorted([payload("e"), sent, chunk])
    owned = [blob.key for blob in inventory.blobs_of(Owner("ns", OwnerKind.RUN, "r"))]
    assert owned == [made]


def test_no_store_is_configured() -> None:
    with pytest.raises(ConfigurationError, match="TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG"):
        Inventory.of(settings())


def test_sums(tmp_path: Path) -> None:
    put(tmp_path, payload("e"), payload("e", b"more"), field("r"), payload("e", namespace="ns2"))
    inventory = Inventory.of(settings(storage(tmp_path), storage(tmp_path)))
    report = add_up(inventory.blobs(), by_owner=True)
    assert (report.total.blobs, report.total.size) == (4, 16)
    assert {name: usage.blobs for name, usage in report.namespaces.items()} == {"ns": 3, "ns2": 1}
    (largest, usage), *_ = report.largest_owners(2)
    assert (largest.id, usage.blobs, usage.size) == ("e", 2, 8)
    assert len(report.largest_owners(2)) == 2
    assert usage.oldest is not None
    assert usage.newest is not None
    assert usage.oldest <= usage.newest
    assert add_up(inventory.blobs()).owners == {}
