"""Owners of blobs, read from their keys."""

from __future__ import annotations

import pytest

from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.reference import Reference

NAMES = ["plain", "with/slash", "ü% #?", "sha256:x", ".."]
DIGEST = "0" * 64


@pytest.mark.parametrize("name", NAMES)
def test_of_a_payload(name: str) -> None:
    key = Reference.of(b"data", namespace=f"ns {name}", execution_id=name).key
    owner = Owner.of(key)
    assert owner == Owner(f"ns {name}", OwnerKind.EXECUTION, name)
    assert owner is not None
    assert key.startswith(owner.key_prefixes)


def test_of_a_payload_without_an_execution() -> None:
    reference = Reference.of(b"data", namespace="n/s", execution_id=None)
    assert reference.key == f"temporal-payload/n%2Fs/@unowned/sha256:{reference.digest}"
    assert Reference.from_key(reference.key) == reference
    owner = Owner.of(reference.key)
    assert owner == Owner("n/s", OwnerKind.UNOWNED, "")
    assert reference.key.startswith(owner.key_prefixes)
    assert (owner.label, owner.member) == ("no execution", {"execution": None})


def test_no_execution_id_collides_with_it() -> None:
    reference = Reference.of(b"data", namespace="ns", execution_id="@unowned")
    assert reference.key.startswith("temporal-payload/ns/%40unowned/")
    assert Reference.from_key(reference.key) == reference
    assert Owner.of(reference.key) == Owner("ns", OwnerKind.EXECUTION, "@unowned")


@pytest.mark.parametrize("name", NAMES)
def test_of_an_activity_field(name: str) -> None:
    field = FieldReference.of(
        b"data", namespace="ns", run_id=name, field=name, form=ContentForm.JSON, size=4
    )
    owner = Owner.of(field.key)
    assert owner == Owner("ns", OwnerKind.RUN, name)
    assert owner is not None
    assert field.key.startswith(owner.key_prefixes)


def test_of_a_field_of_the_official_sdk() -> None:
    key = "temporal-activity-payload/ns/run/01234567-89ab-cdef-0123-456789abcdef/transcript"
    assert Owner.of(key) == Owner("ns", OwnerKind.RUN, "run")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "readme.txt",
        "temporal-payload",
        "temporal-payload/readme.txt",
        "temporal-payload/ns/e/notes.txt",
        "temporal-payload/ns/e/sha256:short",
        f"temporal-payload/ns/e/sha256:{DIGEST}.bak",
        f"temporal-payload/ns/e/more/sha256:{DIGEST}",
        f"temporal-payload/n%73/e/sha256:{DIGEST}",
        f"data/temporal-payload/ns/e/sha256:{DIGEST}",
        f"temporal-payload-2/ns/e/sha256:{DIGEST}",
        "temporal-activity-payload/worker-start-check",
        f"temporal-activity-payload/ns/e/sha256:{DIGEST}",
        f"temporal-activity-payload/ns/e/sha256:{DIGEST}/json-01/f",
    ],
)
def test_a_foreign_key_has_no_owner(key: str) -> None:
    assert Owner.of(key) is None
