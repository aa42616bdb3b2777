"""Configuration shared by client and worker: storage, offloading, encryption, compression.

Field names and meanings are those of the official SDK, so that a configuration carries over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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

from mistral_offload._credentials import shown_url, strip_credential
from mistral_offload._deferred_models import DEFER_BUILD
from mistral_offload._field_types import Converted, with_default
from mistral_offload._sizes import ByteSize
from mistral_offload._storage_values import check_container, check_prefix
from mistral_offload._suggestions import did_you_mean
from mistral_offload.errors import (
    BlobNotFoundError,
    ConfigurationError,
    StorageConfigError,
)
from mistral_offload.limits import (
    DEFAULT_CACHE_DIRECTORY_BYTES,
    DEFAULT_CACHE_MEMORY_BYTES,
    DEFAULT_COMPRESSION_MIN_SIZE_BYTES,
    DEFAULT_DECOMPRESSED_LIMIT_BYTES,
    DEFAULT_FIELD_MIN_SIZE_BYTES,
    DEFAULT_HISTORY_MIN_SIZE_BYTES,
    DEFAULT_LOST_BLOB_SECONDS,
    DEFAULT_PAYLOAD_MIN_SIZE_BYTES,
    DEFAULT_RENEW_AFTER_SECONDS,
    DEFAULT_STORAGE_CONNECTIONS,
    DEFAULT_STORAGE_RETRY_SECONDS,
    DEFAULT_WHOLE_FILE_MAX_BYTES,
    LARGEST_WHOLE_FILE_BYTES,
)

__all__ = [
    "BlobStorageConfig",
    "Config",
    "EncryptionKey",
    "FieldOffloadingConfig",
    "LostBlobConfig",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "StorageProvider",
    "ZstdConfig",
]


class StorageProvider(str, Enum):
    """Supported object stores."""

    S3 = "s3"
    AZURE = "azure"
    GCS = "gcs"
    LOCAL = "local"


_Provider = Literal["s3", "azure", "gcs", "local"]


class Config(BaseModel):
    """Base class: immutable, hashable, refuses unknown names, and shows no value in an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=DEFER_BUILD
    )

    error_class: ClassVar[type[ConfigurationError]] = ConfigurationError

    if not TYPE_CHECKING:  # type checkers see the signature that pydantic derives from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
                return
            except ValidationError as error:
                problem = self.error_class(_summary(type(self), error))
            del values  # error trackers show local variables
            raise problem  # outside of the except block, or pydantic's error would show the values


def _check_credential(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()  # an empty one counts as not set
    return SecretStr(strip_credential(text, "the value")) if text else secret


def _check_connection_string(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text:
        return secret
    text = strip_credential(text, "the value", spaces=True)
    for field in text.split(";"):
        name, _, value = field.partition("=")
        if name.strip().lower().endswith("endpoint") and ("@" in value or "?" in value):
            raise ValueError(
                f"{name.strip()} must not contain a user name, a password or a signature: put a "
                "shared access signature into the connection string as SharedAccessSignature=…"
            )
    return SecretStr(text)


_Secret = SecretStr | str

_Credential = Annotated[SecretStr, AfterValidator(_check_credential)]
"""A key or token; white space at its ends is removed."""

_ConnectionString = Annotated[SecretStr, AfterValidator(_check_connection_string)]
"""Several settings in one text, which may contain spaces."""

_URLS = ("endpoint_url", "azure_storage_account_url")
"""Fields into which a URL may be pasted with a secret."""

_LOGIN_PLACES = {
    "s3": "aws_access_key_id and aws_secret_access_key",
    "azure": "azure_connection_string, as SharedAccessSignature=…",
    "gcs": "the file of service_account_path",
}


class _Shown(str):
    """A text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


class BlobStorageConfig(Config):
    """The bucket, container or directory for blobs, and how to reach it.

    Only the fields of the chosen provider are read. Settings that are left out come from the
    provider's own default chain (environment, profile, instance role).

    Example::

        BlobStorageConfig(bucket_name="payloads", region_name="eu-central-1", prefix="prod")
        BlobStorageConfig(
            storage_provider="azure",
            container_name="payloads",
            azure_storage_account_url="https://acme.blob.core.windows.net",
        )
        BlobStorageConfig(storage_provider="gcs", bucket_id="payloads")
        BlobStorageConfig(storage_provider="local", path="/var/lib/payloads")

    Raises:
        StorageConfigError: a field the provider needs is missing, or two contradict each other.
    """

    error_class = StorageConfigError

    storage_provider: Converted[StorageProvider, StorageProvider | _Provider] = with_default(
        default=StorageProvider.S3, description="Kind of the store."
    )
    prefix: str | None = Field(default=None, description="Path put before every key.")

    bucket_name: str | None = Field(default=None, description="s3: the bucket.")
    region_name: str | None = Field(default=None, description="s3: its region.")
    endpoint_url: str | None = Field(
        default=None, description="s3, gcs: address of another server."
    )
    aws_access_key_id: Converted[_Credential | None, _Secret | None] = with_default(
        default=None, description="s3: id of the access key; needs aws_secret_access_key."
    )
    aws_secret_access_key: Converted[_Credential | None, _Secret | None] = with_default(
        default=None, description="s3: the access key's secret."
    )
    aws_session_token: Converted[_Credential | None, _Secret | None] = with_default(
        default=None, description="s3: token of temporary credentials."
    )
    profile_name: str | None = Field(
        default=None, description="s3: a profile in the AWS configuration files."
    )
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        default="auto", description="s3: place of the bucket's name in URLs, the path or the host."
    )
    ca_bundle: Converted[Path | None, Path | str | None] = with_default(
        default=None, description="s3: file with the certificates to trust."
    )
    sse_kms_key_id: str | None = Field(
        default=None, description="s3: KMS key that encrypts new blobs."
    )
    storage_class: str | None = Field(default=None, description="s3: storage class of new blobs.")
    conditional_writes: bool = Field(
        default=True,
        description="s3: False for a server that ignores If-None-Match; one that refuses it is "
        "detected.",
    )

    container_name: str | None = Field(default=None, description="azure: the container.")
    azure_connection_string: Converted[_ConnectionString | None, _Secret | None] = with_default(
        default=None, description="azure: address and credentials in one text."
    )
    azure_storage_account_url: str | None = Field(
        default=None, description="azure: address; credentials come from the default chain."
    )

    bucket_id: str | None = Field(default=None, description="gcs: the bucket.")
    project: str | None = Field(default=None, description="gcs: project billed for requests.")
    service_account_path: Converted[Path | None, Path | str | None] = with_default(
        default=None, description="gcs: key file of a service account."
    )

    path: Converted[Path | None, Path | str | None] = with_default(
        default=None, description="local: the directory."
    )

    connections: int = Field(
        default=DEFAULT_STORAGE_CONNECTIONS,
        ge=1,
        le=256,
        description="Connections to the store, and operations on it at a time.",
    )
    connect_timeout_seconds: float = Field(
        default=5.0, gt=0, description="Time limit for opening a connection, in seconds."
    )
    read_timeout_seconds: float = Field(
        default=60.0, gt=0, description="Time limit for the next bytes of a response, in seconds."
    )
    retry_seconds: float = Field(
        default=DEFAULT_STORAGE_RETRY_SECONDS,
        ge=0,
        description="Time limit for retries of one operation after transient faults, in seconds.",
    )
    renew_after_seconds: float = Field(
        default=DEFAULT_RENEW_AFTER_SECONDS,
        ge=0,
        description="Age in seconds from which a blob that is read, or put again, becomes new to "
        "the bucket's expiry rules; 0 switches renewal off.",
    )
    cache_memory_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_CACHE_MEMORY_BYTES,
        ge=0,
        description="Size of the cache in the memory of a process; 0 switches it off.",
    )
    cache_directory: Converted[Path | None, Path | str | None] = with_default(
        default=None, description="Disk cache shared by the processes of one machine."
    )
    cache_directory_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_CACHE_DIRECTORY_BYTES, ge=0, description="Size of the disk cache."
    )

    read_also: Converted[tuple[BlobStorageConfig, ...], Sequence[BlobStorageConfig]] = with_default(
        default=(),
        description="Stores tried in this order for blobs that this one does not have, for example "
        "while a bucket is moved. Nothing is written to them.",
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        for name, value in super().__repr_args__():
            is_url = name in _URLS and isinstance(value, str)
            yield name, (_Shown(shown_url(value)) if is_url else value)

    @property
    def container(self) -> str:
        """Name of the bucket or container, or path of the directory."""
        return str(getattr(self, _CONTAINER_FIELD[self.storage_provider]))

    @property
    def description(self) -> str:
        """Text for a log: the stores that blobs are written to and read from, without secrets."""
        prefix = f", prefix {self.prefix!r}" if self.prefix else ""
        location = f"{self.storage_provider.value} {self.container!r}{prefix}"
        if not self.read_also:
            return location
        return (
            f"{location} (read also {', '.join(config.description for config in self.read_also)})"
        )

    @model_validator(mode="after")
    def _check_provider_fields(self) -> Self:
        provider = self.storage_provider
        needed = _CONTAINER_FIELD[provider]
        url_field = _URLS[provider is StorageProvider.AZURE]
        url = getattr(self, url_field) if provider in _LOGIN_PLACES else None
        if url and ("@" in url or "?" in url):
            raise ValueError(
                f"{url_field} must not contain a user name, a password, a signature or a query: "
                f"credentials go into {_LOGIN_PLACES[provider]}"
            )
        if not getattr(self, needed):
            raise ValueError(f"storage_provider {provider.value!r} needs {needed}")
        for name in ("prefix", needed):
            if name != "path" and "\\" in (getattr(self, name) or ""):
                raise ValueError(
                    f"{name} must not contain a backslash, which some servers take for a slash: "
                    "separate the parts of a prefix by /"
                )
        check_prefix(self.prefix or "")
        check_container(needed, provider.value, str(getattr(self, needed)))
        if provider is StorageProvider.AZURE and not (
            bool(self.azure_connection_string) ^ bool(self.azure_storage_account_url)
        ):
            raise ValueError(
                "storage_provider 'azure' needs exactly one of azure_connection_string "
                "and azure_storage_account_url"
            )
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError(
                "aws_access_key_id and aws_secret_access_key go together: set both, or neither "
                "to use the AWS default chain"
            )
        if any(config.read_also for config in self.read_also):
            raise ValueError(
                "a store in read_also cannot have its own read_also: put all stores into one list"
            )
        return self


_CONTAINER_FIELD = {
    StorageProvider.S3: "bucket_name",
    StorageProvider.AZURE: "container_name",
    StorageProvider.GCS: "bucket_id",
    StorageProvider.LOCAL: "path",
}


class PayloadOffloadingConfig(Config):
    """Stores whole payloads of at least ``min_size_bytes``; a reference is sent instead.

    ``min_size_bytes`` is compared to the JSON text (after compression, if that is enabled). A
    payload that could not be delivered otherwise is offloaded at any size.

    ``history_min_size_bytes`` is the lower threshold of payloads that workers send and that stay in
    an execution's history: arguments and results of activities and children, signals to other
    workflows. It falls as the history grows. If only ``min_size_bytes`` is given, that applies to
    them, too.

    Example::

        PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(bucket_name="payloads"), min_size_bytes=512 * 1024
        )

    Raises:
        ConfigurationError: ``storage_config`` is missing.
    """

    storage_config: BlobStorageConfig = Field(description="The store of the payloads.")
    min_size_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_PAYLOAD_MIN_SIZE_BYTES,
        ge=0,
        description="Size from which a payload is offloaded.",
    )
    history_min_size_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_HISTORY_MIN_SIZE_BYTES,
        ge=0,
        description="The same for payloads that a worker adds to a history.",
    )
    allow_other_namespaces: bool = Field(
        default=False,
        description="Let a worker read blobs of every namespace in the store, not only of its own.",
    )

    @property
    def history_floor_bytes(self) -> int:
        """Threshold in bytes that applies to payloads in a short history."""
        given = self.model_fields_set
        if "min_size_bytes" in given and "history_min_size_bytes" not in given:
            return self.min_size_bytes
        return min(self.min_size_bytes, self.history_min_size_bytes)


class FieldOffloadingConfig(Config):
    """Stores fields of activity results if the whole result has at least ``min_size_bytes``.

    ``min_size_bytes`` is compared to the JSON text. Fields of a result that could not be delivered
    otherwise are offloaded at any size.

    Raises:
        ConfigurationError: ``storage_config`` is missing.
    """

    storage_config: BlobStorageConfig = Field(description="The store of the fields.")
    min_size_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_FIELD_MIN_SIZE_BYTES,
        ge=0,
        description="Size of a whole result from which its fields are offloaded.",
    )
    whole_file_max_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_WHOLE_FILE_MAX_BYTES,
        ge=DEFAULT_WHOLE_FILE_MAX_BYTES,
        le=LARGEST_WHOLE_FILE_BYTES,
        description="Size up to which a file is one object, which the official SDK can read; "
        "larger and encrypted ones are stored in chunks.",
    )


class LostBlobConfig(Config):
    """Conditions under which a worker ends an execution because a blob is missing.

    A missing blob is lost, or the worker looks for it in the wrong bucket or under the wrong
    prefix. It counts as lost, so that the execution that needs it fails or is terminated, after
    ``after_seconds`` and with evidence that the store is the right one: this process has read
    another blob of the same execution there that it had not written itself. Until then the task
    that needs the blob is retried.

    A payload that no key of the worker decrypts may need a key that other workers have. It counts
    as lost only with ``without_evidence``.

    Raises:
        ConfigurationError: the seconds are negative.
    """

    after_seconds: float = Field(
        default=DEFAULT_LOST_BLOB_SECONDS,
        ge=0,
        allow_inf_nan=False,
        description="Seconds since this process first found the blob missing.",
    )
    without_evidence: bool = Field(
        default=False,
        description="Let executions end without the evidence: the operator vouches for store and "
        "keys.",
    )

    def is_lost(self, error: BlobNotFoundError) -> bool:
        """Return True if the missing blob of an error counts as lost."""
        has_evidence = self.without_evidence or error.store_is_proven
        return has_evidence and error.missing_seconds >= self.after_seconds


_AES_KEY_BYTES = (16, 24, 32)
_NOT_HEX = re.compile(r"[^0-9A-Fa-f \t\r\n\v\f]")


def _check_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    stray = _NOT_HEX.search(text)
    if stray is not None:
        raise ValueError(
            f"a key must be hex digits, two per byte, and character {stray.start() + 1} is none "
            "(create one: mistral-offload keys new)"
        )
    try:
        size = len(bytes.fromhex(text))
    except ValueError:
        raise ValueError(
            "a key must be hex digits, two per byte (create one: mistral-offload keys new)"
        ) from None
    if size not in _AES_KEY_BYTES:
        raise ValueError(
            f"a key must have 16, 24 or 32 bytes, not {size} (create one: mistral-offload keys new)"
        )
    return key


EncryptionKey = Annotated[SecretStr, AfterValidator(_check_key)]
"""An AES key in hex; spaces between bytes are allowed."""


class PayloadEncryptionMode(str, Enum):
    """Extent of encryption: whole payloads, or marked fields only."""

    FULL = "full"
    PARTIAL = "partial"


class PayloadEncryptionConfig(Config):
    """Encrypts payloads with AES-GCM: whole ones, or only fields typed `EncryptedStrField`.

    Client and workers need the same keys. To rotate, make the new key ``main_key`` and the old one
    ``secondary_key`` everywhere; keep older keys as ``retired_keys`` to decrypt older payloads.

    Example::

        PayloadEncryptionConfig(mode="full", main_key=os.environ["PAYLOAD_KEY"])

    Raises:
        ConfigurationError: a key is not hex, or has not 16, 24 or 32 bytes; the text does not show
            the key.
    """

    mode: Converted[PayloadEncryptionMode, PayloadEncryptionMode | Literal["full", "partial"]] = (
        Field(description="full encrypts whole payloads, partial only marked fields.")
    )
    main_key: Converted[EncryptionKey, _Secret] = Field(
        description="Encrypts; tried first to decrypt."
    )
    secondary_key: Converted[EncryptionKey | None, _Secret | None] = with_default(
        default=None, description="Only decrypts; tried second."
    )
    retired_keys: Converted[tuple[EncryptionKey, ...], Sequence[_Secret]] = with_default(
        default=(), description="Only decrypt; tried in this order after the others."
    )
    encrypt_blobs: bool | None = Field(
        default=None,
        description="Encrypt offloaded payloads too; None means only in full mode.",
    )
    encrypt_fields: bool = Field(
        default=False,
        description="Encrypt the blobs of activity fields; official workers cannot read them.",
    )

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys as bytes, the main key first."""
        texts = [self.main_key, self.secondary_key, *self.retired_keys]
        return tuple(bytes.fromhex(text.get_secret_value()) for text in texts if text is not None)

    @property
    def is_full(self) -> bool:
        """True if whole payloads are encrypted."""
        return self.mode is PayloadEncryptionMode.FULL

    @property
    def blobs(self) -> bool:
        """True if payloads are encrypted before they are offloaded."""
        return self.is_full if self.encrypt_blobs is None else self.encrypt_blobs


class ZstdConfig(Config):
    """Settings of zstd: level 1 is the fastest, 22 gives the smallest output."""

    algorithm: Literal["zstd"] = Field(default="zstd", description="The only one.")
    level: int = Field(default=3, ge=1, le=22, description="1 is the fastest, 22 the smallest.")


class PayloadCompressionConfig(Config):
    """Compresses payloads of at least ``min_size_bytes`` of JSON, if that makes them smaller.

    Reading compressed payloads needs no configuration; ``max_decompressed_bytes`` bounds the size
    that one may unpack to.

    Raises:
        ConfigurationError: a level or size is out of range.
    """

    min_size_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_COMPRESSION_MIN_SIZE_BYTES,
        ge=0,
        description="Size from which a payload is compressed.",
    )
    algorithm_config: ZstdConfig = Field(
        default_factory=ZstdConfig, description="Settings of the algorithm."
    )
    max_decompressed_bytes: Converted[ByteSize, int | str] = with_default(
        default=DEFAULT_DECOMPRESSED_LIMIT_BYTES,
        ge=1,
        description="Size that a compressed payload may unpack to.",
    )


def _summary(kind: type[Config], error: ValidationError) -> str:
    """Return the problems as ``location: message``, without any value."""
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False):
        location = ".".join(str(part) for part in item["loc"])
        text = item["msg"].removeprefix("Value error, ").removeprefix("BlobStorageConfig: ")
        if item["type"] == "extra_forbidden":
            names = _field_names(kind, item["loc"][:-1])
            text = f"there is no such field{did_you_mean(str(item['loc'][-1]), names)}"
        problems.append(f"{location}: {text}" if location else text)
    return f"{kind.__name__}: " + "; ".join(problems)


def _field_names(kind: type[Config], location: tuple[int | str, ...]) -> list[str]:
    """Return the names of the fields of a configuration, or of the one at a location within."""
    field = location[0] if location else None
    inner = {"storage_config": BlobStorageConfig, "read_also": BlobStorageConfig}
    return list(inner.get(str(field), kind).model_fields)
