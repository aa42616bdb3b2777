"""The configuration both halves share: where blobs go, and how payloads are kept secret and small.

Field names and meaning are those of the official SDK, so that a configuration carries over.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from typing_extensions import Self

from mistral_offload.errors import ConfigurationError, StorageConfigError
from mistral_offload.limits import (
    DEFAULT_CACHE_DIRECTORY_BYTES,
    DEFAULT_CACHE_MEMORY_BYTES,
    DEFAULT_COMPRESSION_MIN_SIZE_BYTES,
    DEFAULT_DECOMPRESSED_LIMIT_BYTES,
    DEFAULT_FIELD_MIN_SIZE_BYTES,
    DEFAULT_PAYLOAD_MIN_SIZE_BYTES,
    DEFAULT_STORAGE_CONNECTIONS,
    DEFAULT_STORAGE_RETRY_SECONDS,
)

__all__ = [
    "BlobStorageConfig",
    "Config",
    "EncryptionKey",
    "FieldOffloadingConfig",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "StorageProvider",
    "ZstdConfig",
]


class StorageProvider(str, Enum):
    """Object stores a configuration can name."""

    S3 = "s3"
    AZURE = "azure"
    GCS = "gcs"
    LOCAL = "local"


class Config(BaseModel):
    """Immutable and hashable; refuses unknown names; no error of it shows a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    error_class: ClassVar[type[ConfigurationError]] = ConfigurationError

    if not TYPE_CHECKING:  # checkers keep the signature that pydantic makes from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
                return
            except ValidationError as error:
                problem = self.error_class(_summary(type(self).__name__, error))
            raise problem  # out here, or pydantic's error, and so the values, would hang on it


class BlobStorageConfig(Config):
    """Where blobs are kept: one bucket, container or directory, and how to reach it.

    Only the fields of the chosen provider are read. What is left out is taken from the
    provider's own default chain (environment, profile, instance role).

    Raises:
        StorageConfigError: a field the provider needs is missing, or two contradict each other.
    """

    error_class = StorageConfigError

    storage_provider: StorageProvider = StorageProvider.S3
    prefix: str | None = Field(default=None, description="Put before every key, as a path.")

    bucket_name: str | None = Field(default=None, description="s3: the bucket.")
    region_name: str | None = Field(default=None, description="s3: its region.")
    endpoint_url: str | None = Field(default=None, description="s3, gcs: another server.")
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    profile_name: str | None = Field(default=None, description="s3: a profile of the AWS files.")
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    ca_bundle: Path | None = Field(default=None, description="s3: certificates to trust.")
    sse_kms_key_id: str | None = Field(default=None, description="s3: encrypt with this KMS key.")
    storage_class: str | None = Field(default=None, description="s3: of new blobs.")
    conditional_writes: bool = Field(
        default=True,
        description="s3: False for a server that ignores If-None-Match; one that refuses it is "
        "found out.",
    )

    container_name: str | None = Field(default=None, description="azure: the container.")
    azure_connection_string: SecretStr | None = None
    azure_storage_account_url: str | None = None

    bucket_id: str | None = Field(default=None, description="gcs: the bucket.")
    project: str | None = Field(default=None, description="gcs: billed for requests.")
    service_account_path: Path | None = Field(default=None, description="gcs: a key file.")

    path: Path | None = Field(default=None, description="local: the directory.")

    connections: int = Field(default=DEFAULT_STORAGE_CONNECTIONS, ge=1, le=256)
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=60.0, gt=0)
    retry_seconds: float = Field(
        default=DEFAULT_STORAGE_RETRY_SECONDS, ge=0, description="For transient faults, in all."
    )
    cache_memory_bytes: int = Field(default=DEFAULT_CACHE_MEMORY_BYTES, ge=0)
    cache_directory: Path | None = Field(
        default=None, description="Shared by the processes of one machine."
    )
    cache_directory_bytes: int = Field(default=DEFAULT_CACHE_DIRECTORY_BYTES, ge=0)

    read_also: tuple[BlobStorageConfig, ...] = Field(
        default=(),
        description="Where blobs are looked for that are not here, in this order, as while a "
        "bucket is moved. Nothing is written there.",
    )

    @property
    def container(self) -> str:
        """The bucket, container or directory, whatever the provider calls it."""
        return str(getattr(self, _CONTAINER_FIELD[self.storage_provider]))

    @property
    def description(self) -> str:
        """Where blobs are kept and looked for, in words for a log: never a secret."""
        prefix = f", prefix {self.prefix!r}" if self.prefix else ""
        place = f"{self.storage_provider.value} {self.container!r}{prefix}"
        if not self.read_also:
            return place
        return f"{place} (read also {', '.join(config.description for config in self.read_also)})"

    @model_validator(mode="after")
    def _check_provider_fields(self) -> Self:
        provider = self.storage_provider
        needed = _CONTAINER_FIELD[provider]
        if not getattr(self, needed):
            raise ValueError(f"storage_provider {provider.value!r} needs {needed}")
        if provider is StorageProvider.AZURE and not (
            bool(self.azure_connection_string) ^ bool(self.azure_storage_account_url)
        ):
            raise ValueError(
                "storage_provider 'azure' needs exactly one of azure_connection_string "
                "and azure_storage_account_url"
            )
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError(
                "aws_access_key_id and aws_secret_access_key go together: give both, or neither "
                "to use the AWS default chain"
            )
        if any(config.read_also for config in self.read_also):
            raise ValueError("a store of read_also has no read_also of its own: list them all")
        return self


_CONTAINER_FIELD = {
    StorageProvider.S3: "bucket_name",
    StorageProvider.AZURE: "container_name",
    StorageProvider.GCS: "bucket_id",
    StorageProvider.LOCAL: "path",
}


class PayloadOffloadingConfig(Config):
    """Whole payloads from ``min_size_bytes`` on go to the store; a reference travels instead.

    ``min_size_bytes`` is a floor in bytes of JSON (after compression, where that is on). A payload
    that could not be delivered otherwise is offloaded whatever the floor.

    Raises:
        ConfigurationError: there is no storage block.
    """

    storage_config: BlobStorageConfig
    min_size_bytes: int = Field(default=DEFAULT_PAYLOAD_MIN_SIZE_BYTES, ge=0)
    allow_other_namespaces: bool = Field(
        default=False,
        description="A worker reads blobs of every namespace of the store, not of its own only.",
    )


class FieldOffloadingConfig(Config):
    """Fields of activity results go to the store when the result has ``min_size_bytes`` or more.

    ``min_size_bytes`` is a floor in bytes of JSON. A result that could not be delivered otherwise
    has its fields offloaded whatever the floor.

    Raises:
        ConfigurationError: there is no storage block.
    """

    storage_config: BlobStorageConfig
    min_size_bytes: int = Field(default=DEFAULT_FIELD_MIN_SIZE_BYTES, ge=0)


_AES_KEY_BYTES = (16, 24, 32)


def _check_key(key: SecretStr) -> SecretStr:
    try:
        size = len(bytes.fromhex(key.get_secret_value()))
    except ValueError:
        raise ValueError(
            "a key is written as hex digits, two a byte (mistral-offload keys new)"
        ) from None
    if size not in _AES_KEY_BYTES:
        raise ValueError(
            f"a key has 16, 24 or 32 bytes, this one has {size} (mistral-offload keys new)"
        )
    return key


EncryptionKey = Annotated[SecretStr, AfterValidator(_check_key)]
"""An AES key in hex; blanks between the bytes are fine."""


class PayloadEncryptionMode(str, Enum):
    """How much of a payload is encrypted."""

    FULL = "full"
    PARTIAL = "partial"


class PayloadEncryptionConfig(Config):
    """Payloads are encrypted with AES-GCM: as a whole, or the fields marked `EncryptedStrField`.

    Give client and workers the same keys. To rotate, make the new key ``main_key`` and the old one
    ``secondary_key``, everywhere; older ones go on opening what they encrypted as ``retired_keys``.

    Raises:
        ConfigurationError: a key is not hex, or not of 16, 24 or 32 bytes; it is not shown.
    """

    mode: PayloadEncryptionMode
    main_key: EncryptionKey = Field(description="Encrypts, and is the first to decrypt with.")
    secondary_key: EncryptionKey | None = Field(default=None, description="Only decrypts.")
    retired_keys: tuple[EncryptionKey, ...] = Field(
        default=(), description="Only decrypt, tried in this order after the others."
    )
    encrypt_blobs: bool | None = Field(
        default=None,
        description="Encrypt what is offloaded, too; None: in full mode.",
    )
    encrypt_fields: bool = Field(
        default=False,
        description="Encrypt the blobs of activity fields, which official workers cannot read.",
    )

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key, the main key first."""
        texts = [self.main_key, self.secondary_key, *self.retired_keys]
        return tuple(bytes.fromhex(text.get_secret_value()) for text in texts if text is not None)

    @property
    def is_full(self) -> bool:
        """Whether payloads are encrypted as a whole."""
        return self.mode is PayloadEncryptionMode.FULL

    @property
    def blobs(self) -> bool:
        """Whether what is offloaded is encrypted before."""
        return self.is_full if self.encrypt_blobs is None else self.encrypt_blobs


class ZstdConfig(Config):
    """How zstd compresses: from level 1, fastest, to 22, smallest."""

    algorithm: Literal["zstd"] = "zstd"
    level: int = Field(default=3, ge=1, le=22)


class PayloadCompressionConfig(Config):
    """Payloads from ``min_size_bytes`` of JSON on are compressed, when that makes them smaller.

    Reading compressed payloads needs no configuration; ``max_decompressed_bytes`` bounds what one
    of them may unpack to.

    Raises:
        ConfigurationError: a level or size is out of range.
    """

    min_size_bytes: int = Field(default=DEFAULT_COMPRESSION_MIN_SIZE_BYTES, ge=0)
    algorithm_config: ZstdConfig = ZstdConfig()
    max_decompressed_bytes: int = Field(default=DEFAULT_DECOMPRESSED_LIMIT_BYTES, ge=1)


def _summary(name: str, error: ValidationError) -> str:
    """One line per problem: where it is and what is wrong, never the value."""
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in item["loc"])
        text = item["msg"].removeprefix("Value error, ")
        problems.append(f"{place}: {text}" if place else text)
    return f"{name}: " + "; ".join(problems)
