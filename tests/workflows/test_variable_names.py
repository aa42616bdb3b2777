"""Variables that are ignored because they are misspelt, and those that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral_offload.environment.settings import FileSettings
from mistral_offload.environment.variable_names import find_misspelt, names_of
from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import MIB
from mistral_offload.workflows import WorkerSettings

KNOWN = list(names_of(WorkerSettings))
STORAGE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_variables_are_known() -> None:
    assert f"{STORAGE}__BUCKET_NAME" in KNOWN
    assert "TEMPORAL_PAYLOAD_COMPRESSION__ALGORITHM_CONFIG__LEVEL" in KNOWN
    assert "LOST_BLOBS__AFTER_SECONDS" in KNOWN
    assert len(KNOWN) == len(set(KNOWN))


def test_misspelt_variables() -> None:
    names = [
        "TEMPORAL_PAYLOAD_OFLOADING__STORAGE_CONFIG__BUCKET_NAME",
        "temporal_payload_encrypton__main_key",
        "TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES",
        "TEMPORAL_PAYLOAD_COMPRESSION",
        "OTHER__THING",
        "PATH",
    ]
    assert find_misspelt(names, KNOWN) == {
        names[0]: "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__BUCKET_NAME",
        names[1]: "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY",
    }


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (f"{STORAGE}__BUCKET_NAME".replace("__", "_"), f"{STORAGE}__BUCKET_NAME"),
        ("TEMPORAL_PAYLOAD_OFFLOADING_STORAGE_CONFIG__PREFIX", f"{STORAGE}__PREFIX"),
        ("ACTIVITY_ATTRIBUTE_OFFLOADING__MIN_SIZE_BYTES", None),
        ("PAYLOAD_OFFLOADING__STORAGE_CONFIG__BUCKET_NAME", f"{STORAGE}__BUCKET_NAME"),
        ("TEMPORAL_PAYLOAD_OFLOADING__STORAGE_CONFIG__BUKET_NAME", f"{STORAGE}__BUCKET_NAME"),
        ("LOST_BLOBS_AFTER_SECONDS", "LOST_BLOBS__AFTER_SECONDS"),
        ("LOST_BLOB__AFTER_SECONDS", "LOST_BLOBS__AFTER_SECONDS"),
    ],
)
def test_kinds_of_misspelt_groups(name: str, meant: str | None) -> None:
    meant = meant or "ACTIVITY_ATTRIBUTES_OFFLOADING__MIN_SIZE_BYTES"
    assert find_misspelt([name], KNOWN) == {name: meant}


def test_variables_of_other_programs_are_left_alone() -> None:
    names = [
        "TEMPORAL_ADDRESS",
        "TEMPORAL_NAMESPACE",
        "TEMPORAL_TLS_CLIENT_CERT_PATH",
        "MISTRAL_API_KEY",
        "MISTRAL_OFFLOAD_CODEC_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "KUBERNETES_SERVICE_PORT",
        "OTEL_EXPORTER_OTLP__HEADERS",
        "PYTEST_CURRENT_TEST",
        "__CF_USER_TEXT_ENCODING",
        "_",
        "",
    ]
    assert find_misspelt(names, KNOWN) == {}


def test_names_in_the_file_of_variables_count(tmp_path: Path) -> None:
    name = "TEMPORAL_PAYLOAD_OFLOADING__STORAGE_CONFIG__BUCKET_NAME"
    (tmp_path / ".env").write_text(f"{name}=b\n")
    assert WorkerSettings().misspelt_variables()[name] == f"{STORAGE}__BUCKET_NAME"
    (tmp_path / ".env").unlink()
    assert name not in WorkerSettings().misspelt_variables()
    (tmp_path / "worker.env").write_text(f"{name}=b\n")
    settings = FileSettings.read(tmp_path / "worker.env")
    assert settings.misspelt_variables()[name] == f"{STORAGE}__BUCKET_NAME"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (f"{STORAGE}__BUKET_NAME", "b", f"did you mean {STORAGE}__BUCKET_NAME?"),
        (
            "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KAY",
            "5a" * 16,
            "did you mean TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY?",
        ),
        (
            f"{STORAGE}__BUCKET_NAME",
            "s3://b/x",
            f"{STORAGE}__BUCKET_NAME='b', {STORAGE}__PREFIX='x'",
        ),
        (f"{STORAGE}__PREFIX", "../x", f"{STORAGE}__PREFIX '../x' must not contain the segments"),
        ("TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES", "1M", "MIN_SIZE_BYTES: not a size"),
    ],
)
def test_what_is_refused_names_the_variable_to_use(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    if name != f"{STORAGE}__BUCKET_NAME":
        monkeypatch.setenv(f"{STORAGE}__BUCKET_NAME", "b")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        WorkerSettings()
    assert text in str(caught.value)


def test_sizes_with_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    group, fields = "TEMPORAL_PAYLOAD_OFFLOADING", "ACTIVITY_ATTRIBUTES_OFFLOADING"
    monkeypatch.setenv(f"{STORAGE}__BUCKET_NAME", "b")
    monkeypatch.setenv(f"{fields}__STORAGE_CONFIG__BUCKET_NAME", "b")
    for name in (
        f"{group}__MIN_SIZE_BYTES",
        f"{group}__HISTORY_MIN_SIZE_BYTES",
        f"{STORAGE}__CACHE_MEMORY_BYTES",
        f"{fields}__MIN_SIZE_BYTES",
        "TEMPORAL_PAYLOAD_COMPRESSION__MIN_SIZE_BYTES",
    ):
        monkeypatch.setenv(name, "1MiB")
    settings = WorkerSettings()
    payloads, of_fields = settings.payload_offloading, settings.field_offloading
    compression = settings.payload_compression
    assert payloads is not None
    assert of_fields is not None
    assert compression is not None
    assert {
        payloads.min_size_bytes,
        payloads.history_min_size_bytes,
        payloads.storage_config.cache_memory_bytes,
        of_fields.min_size_bytes,
        compression.min_size_bytes,
    } == {MIB}
