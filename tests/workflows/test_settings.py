"""The worker's environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    LostBlobConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    StorageProvider,
    ZstdConfig,
)
from mistral_offload.environment.settings import (
    FieldOffloadingVariables,
    FileSettings,
    OffloadingVariables,
    StorageVariables,
)
from mistral_offload.errors import ConfigurationError, ServiceAccountTokenError
from mistral_offload.limits import DEFAULT_PAYLOAD_MIN_SIZE_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.workflows import WorkerSettings

GROUP = "TEMPORAL_PAYLOAD_OFFLOADING"
STORAGE = f"{GROUP}__STORAGE_CONFIG"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*WorkerSettings.model_fields, "bucket_name", "prefix"):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch):
    def reading(variables: Mapping[str, str]) -> WorkerSettings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return WorkerSettings()

    return reading


def test_nothing_set(read) -> None:
    settings = read({})
    assert settings.server_url == "https://api.mistral.ai"
    assert settings.task_queue == "default"
    assert settings.payload_offloading is None
    assert settings.platform_token() is None


def test_lost_blobs(read) -> None:
    assert read({}).lost_blob_config == LostBlobConfig(after_seconds=60, without_evidence=False)
    settings = read({"LOST_BLOBS__AFTER_SECONDS": "5", "LOST_BLOBS__WITHOUT_EVIDENCE": "true"})
    assert settings.lost_blob_config == LostBlobConfig(after_seconds=5, without_evidence=True)
    with pytest.raises(ConfigurationError, match="LOST_BLOBS__AFTER_SECONDS"):
        read({"LOST_BLOBS__AFTER_SECONDS": "-1"})


def test_payload_offloading(read) -> None:
    settings = read(
        {
            f"{STORAGE}__STORAGE_PROVIDER": "azure",
            f"{STORAGE}__CONTAINER_NAME": "payloads",
            f"{STORAGE}__AZURE_CONNECTION_STRING": "AccountKey=x",
        }
    )
    offloading = settings.payload_offloading
    assert offloading is not None
    assert offloading.min_size_bytes == DEFAULT_PAYLOAD_MIN_SIZE_BYTES
    assert offloading.storage_config == BlobStorageConfig(
        storage_provider=StorageProvider.AZURE,
        container_name="payloads",
        azure_connection_string="AccountKey=x",  # type: ignore[arg-type]
    )
    assert "AccountKey" not in repr(settings)


def test_every_field_of_offloading_has_a_variable(read) -> None:
    assert set(OffloadingVariables.model_fields) == set(PayloadOffloadingConfig.model_fields)
    assert set(FieldOffloadingVariables.model_fields) == set(FieldOffloadingConfig.model_fields)
    group = "ACTIVITY_ATTRIBUTES_OFFLOADING"
    bucket = {f"{group}__STORAGE_CONFIG__BUCKET_NAME": "b"}
    fields = read({**bucket, f"{group}__WHOLE_FILE_MAX_BYTES": "16MiB"}).field_offloading
    assert fields == FieldOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"), whole_file_max_bytes="16MiB"
    )
    for wrong in ("1MiB", "33MiB"):
        with pytest.raises(ConfigurationError, match=f"{group}__WHOLE_FILE_MAX_BYTES"):
            read({f"{group}__WHOLE_FILE_MAX_BYTES": wrong})


def test_lower_case_json_and_nested_override(read) -> None:
    settings = read(
        {
            GROUP: '{"min_size_bytes": 7, "storage_config": {"bucket_name": "b"}}',
            f"{GROUP}__MIN_SIZE_BYTES".lower(): "4096",
        }
    )
    offloading = settings.payload_offloading
    assert offloading is not None
    assert (offloading.min_size_bytes, offloading.storage_config.bucket_name) == (4096, "b")


@pytest.mark.parametrize(
    ("variables", "floor"),
    [
        ({}, 256 * 1024),
        ({"HISTORY_MIN_SIZE_BYTES": "5000"}, 5000),
        ({"MIN_SIZE_BYTES": "1000000"}, 1_000_000),
        ({"MIN_SIZE_BYTES": "2097152"}, 2_097_152),
        ({"MIN_SIZE_BYTES": ""}, 256 * 1024),
        ({"MIN_SIZE_BYTES": "1000000", "HISTORY_MIN_SIZE_BYTES": "5000"}, 5000),
        ({"MIN_SIZE_BYTES": "4000", "HISTORY_MIN_SIZE_BYTES": "5000"}, 4000),
    ],
)
def test_the_threshold_of_histories(read, variables: dict[str, str], floor: int) -> None:
    group = {f"{GROUP}__{name}": value for name, value in variables.items()}
    offloading = read({**group, f"{STORAGE}__BUCKET_NAME": "b"}).payload_offloading
    assert offloading is not None
    assert offloading.history_floor_bytes == floor
    assert f"{floor:,}" in PayloadEncoder(offloading).description


def test_a_threshold_of_histories_below_zero_is_named(read) -> None:
    with pytest.raises(ConfigurationError, match=f"{GROUP}__HISTORY_MIN_SIZE_BYTES: .*greater"):
        read({f"{GROUP}__HISTORY_MIN_SIZE_BYTES": "-1"})


def test_the_size_alone_enables_nothing(read) -> None:
    assert read({f"{GROUP}__MIN_SIZE_BYTES": "4096"}).payload_offloading is None


def test_unprefixed_variables_do_not_leak_in(read) -> None:
    settings = read({f"{STORAGE}__BUCKET_NAME": "b", "PREFIX": "x", "REGION_NAME": "y"})
    assert settings.payload_offloading is not None
    assert settings.payload_offloading.storage_config == BlobStorageConfig(bucket_name="b")


def test_null_and_empty_mean_unset(read) -> None:
    settings = read(
        {
            "DEPLOYMENT_NAME": "null",
            "SERVER_URL": "null",
            "TEMPORAL_TASK_QUEUE": "",
            f"{STORAGE}__STORAGE_PROVIDER": "null",
            f"{STORAGE}__BUCKET_NAME": "b",
            f"{GROUP}__MIN_SIZE_BYTES": "null",
        }
    )
    assert settings.task_queue == "default"
    assert settings.server_url == "https://api.mistral.ai"
    assert settings.payload_offloading is not None


def test_a_dotenv_file(read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"DEPLOYMENT_NAME=from-file\nUNRELATED=1\n{STORAGE}__BUCKET_NAME=b\n"
    )
    settings = read({})
    assert settings.task_queue == "from-file"
    assert settings.payload_offloading is not None
    assert read({"DEPLOYMENT_NAME": "from-environment"}).task_queue == "from-environment"


def test_every_problem_is_named_and_no_value_shown(read) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(
            {
                "TEMPORAL_TLS": "secret-1",
                f"{GROUP}__MIN_SIZE_BYTES": "secret-2",
                f"{STORAGE}__STORAGE_PROVIDER": "SECRET-3",
                f"{STORAGE}__BUKET_NAME": "secret-4",
            }
        )
    text = str(refused.value)
    assert text.count("\n") == 4
    for name in (
        "TEMPORAL_TLS:",
        f"{GROUP}__MIN_SIZE_BYTES:",
        f"{STORAGE}__STORAGE_PROVIDER:",
        f"{STORAGE}__BUKET_NAME: unknown variable",
    ):
        assert f"\n  {name}" in text
    assert "secret" not in text.lower()


def test_what_contradicts_is_named_by_variable(read) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read({f"{STORAGE}__STORAGE_PROVIDER": "gcs"})
    assert f"{STORAGE}__STORAGE_PROVIDER 'gcs' needs {STORAGE}__BUCKET_ID" in str(refused.value)
    with pytest.raises(ConfigurationError, match=f"{STORAGE}__BUCKET_NAME"):
        read({f"{STORAGE}__STORAGE_PROVIDER": "s3", f"{STORAGE}__PREFIX": "p"})


def test_a_group_that_is_no_json(read) -> None:
    with pytest.raises(ConfigurationError, match=f"{GROUP}: not a JSON object"):
        read({GROUP: "{secret"})


def test_tokens(read, tmp_path: Path) -> None:
    key = {"MISTRAL_API_KEY": "key"}
    assert read(key).platform_token() == "key"
    assert read(key).temporal_token(tls=False) is None
    assert read(key).temporal_token(tls=True) == "key"
    token = tmp_path / "token"
    settings = read({"MISTRAL_SA_TOKEN_PATH": str(token)})
    with pytest.raises(ServiceAccountTokenError):
        settings.platform_token()
    token.write_text("first\n")
    assert settings.platform_token() == "first"
    token.write_text("second\n")
    assert settings.platform_token() == "second"
    assert read({"TEMPORAL_API_KEY": "tk"}).temporal_token(tls=False) == "tk"


def test_every_field_of_the_storage_configuration_is_a_variable(read) -> None:
    assert set(StorageVariables.model_fields) == set(BlobStorageConfig.model_fields)
    settings = read({f"{STORAGE}__BUCKET_NAME": "b", f"{STORAGE}__CONNECTIONS": "4"})
    assert settings.payload_offloading is not None
    assert settings.payload_offloading.storage_config.connections == 4
    with pytest.raises(ConfigurationError, match=f"{STORAGE}__CONNECTIONS: .*greater than"):
        read({f"{STORAGE}__CONNECTIONS": "0"})


def test_a_group_of_null_is_unset(read) -> None:
    assert read({GROUP: "null"}).payload_offloading is None


KEY = "00112233445566778899aabbccddeeff" * 2
ENCRYPTION = "TEMPORAL_PAYLOAD_ENCRYPTION"
COMPRESSION = "TEMPORAL_PAYLOAD_COMPRESSION"


def test_payload_encryption(read) -> None:
    assert read({}).payload_encryption is None
    variables = {
        f"{ENCRYPTION}__MODE": "partial",
        f"{ENCRYPTION}__MAIN_KEY": KEY,
        f"{ENCRYPTION}__SECONDARY_KEY": KEY[:32],
        f"{ENCRYPTION}__RETIRED_KEYS": f'["{KEY[:48]}"]',
        f"{ENCRYPTION}__ENCRYPT_BLOBS": "true",
    }
    settings = read(variables)
    assert settings.payload_encryption == PayloadEncryptionConfig(
        mode="partial",
        main_key=KEY,
        secondary_key=KEY[:32],
        retired_keys=(KEY[:48],),
        encrypt_blobs=True,
    )
    assert KEY[:32] not in repr(settings)
    encoder = settings.payload_encoder()
    assert "encryption: partial, blobs encrypted, 2 old keys" in encoder.description
    assert KEY[:32] not in encoder.description


def test_payload_compression(read) -> None:
    assert read({}).payload_compression is None
    assert read({COMPRESSION: "{}"}).payload_compression == PayloadCompressionConfig()
    settings = read(
        {f"{COMPRESSION}__MIN_SIZE_BYTES": "4096", f"{COMPRESSION}__ALGORITHM_CONFIG__LEVEL": "7"}
    )
    assert settings.payload_compression == PayloadCompressionConfig(
        min_size_bytes=4096, algorithm_config=ZstdConfig(level=7)
    )
    assert settings.payload_encoder().description == (
        "offloading: off; encryption: off; compression: from 4,096 bytes on, zstd level 7"
    )


def test_every_problem_of_encryption_and_compression_is_named(read) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(
            {
                f"{ENCRYPTION}__MAIN_KEY": "5ec4e7",
                f"{ENCRYPTION}__SECONDARY_KEY": "5ec4e7x",
                f"{ENCRYPTION}__KEY": "5ec4e7",
                f"{COMPRESSION}__ALGORITHM_CONFIG__LEVEL": "23",
                f"{COMPRESSION}__ALGORITHM_CONFIG__ALGORITHM": "gzip",
            }
        )
    text = str(refused.value)
    assert text.count("\n") == 6
    for name in (
        f"{ENCRYPTION}__MODE: Field required",
        f"{ENCRYPTION}__MAIN_KEY: a key must have 16, 24 or 32 bytes",
        f"{ENCRYPTION}__SECONDARY_KEY: a key must be hex digits",
        f"{ENCRYPTION}__KEY: unknown variable",
        f"{COMPRESSION}__ALGORITHM_CONFIG__LEVEL:",
        f"{COMPRESSION}__ALGORITHM_CONFIG__ALGORITHM:",
    ):
        assert f"\n  {name}" in text
    assert "5ec4e7" not in text


def test_stores_to_read_from_too(read) -> None:
    found = read(
        {
            f"{STORAGE}__BUCKET_NAME": "new",
            f"{STORAGE}__READ_ALSO": '[{"bucket_name": "old", "prefix": "data"}]',
        }
    ).payload_offloading.storage_config
    assert found.read_also == (BlobStorageConfig(bucket_name="old", prefix="data"),)


def test_what_is_wrong_with_one_of_them(read) -> None:
    other = '[{"bucket_name": "old", "aws_secret_access_key": "not-to-be-shown"}]'
    with pytest.raises(ConfigurationError) as caught:
        read({f"{STORAGE}__BUCKET_NAME": "new", f"{STORAGE}__READ_ALSO": other})
    assert f"{STORAGE}__READ_ALSO__0__AWS_ACCESS_KEY_ID" in str(caught.value)
    assert "not-to-be-shown" not in str(caught.value)


def test_a_file_wins_over_the_environment(read, tmp_path: Path) -> None:
    read({f"{STORAGE}__BUCKET_NAME": "environment", "DEPLOYMENT_NAME": "environment"})
    file = tmp_path / "worker.env"
    file.write_text(f"{STORAGE}__BUCKET_NAME=file\n")
    (tmp_path / ".env").write_text("MISTRAL_API_KEY=not-asked-for\n")
    settings = FileSettings.read(file)
    assert settings.payload_offloading.storage_config.bucket_name == "file"
    assert settings.deployment_name == "environment"
    assert settings.mistral_api_key is None
