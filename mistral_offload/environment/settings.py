"""The worker's settings from environment variables and from ``.env`` in the working directory.

Variables have the platform's names, in upper or lower case. ``__`` separates levels, and a whole
group can be one variable with a JSON object. An empty value or ``null`` means unset.
"""

from __future__ import annotations

import logging
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import Self

from mistral_offload._credentials import check_url, strip_credential
from mistral_offload._sizes import ByteSize
from mistral_offload._suggestions import did_you_mean
from mistral_offload.api.connection import SERVERS, read_service_account_token
from mistral_offload.config import (
    BlobStorageConfig,
    Config,
    FieldOffloadingConfig,
    LostBlobConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    ZstdConfig,
)
from mistral_offload.environment.variable_names import find_misspelt, names_of, siblings
from mistral_offload.errors import ConfigurationError, StorageConfigError
from mistral_offload.limits import (
    DEFAULT_FIELD_MIN_SIZE_BYTES,
    DEFAULT_HISTORY_MIN_SIZE_BYTES,
    DEFAULT_PAYLOAD_MIN_SIZE_BYTES,
    DEFAULT_WHOLE_FILE_MAX_BYTES,
    DEFAULT_WORKFLOW_DEADLOCK_SECONDS,
    LARGEST_WHOLE_FILE_BYTES,
)
from mistral_offload.payload.encoder import PayloadEncoder

_logger = logging.getLogger("mistral_offload.worker")


class _Group(BaseModel):
    # Not BaseSettings, which would also read unprefixed variables such as BUCKET_NAME.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, Any]", values)
        return {name: value for name, value in given.items() if value is not None}


class _StorageGroup(_Group):
    def to_config(self) -> BlobStorageConfig:
        """Return the configuration that these variables describe."""
        return BlobStorageConfig(**self.model_dump(exclude_unset=True))

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.to_config()
        except StorageConfigError as error:
            raise ValueError(str(error).removeprefix("BlobStorageConfig: ")) from None
        return self


if TYPE_CHECKING:

    class StorageVariables(_StorageGroup):
        """``…__STORAGE_CONFIG__…``: the fields of `BlobStorageConfig`."""

    class EncryptionVariables(_Group):
        """``TEMPORAL_PAYLOAD_ENCRYPTION__…``: the fields of `PayloadEncryptionConfig`."""

    class ZstdVariables(_Group):
        """``…__ALGORITHM_CONFIG__…``: the fields of `ZstdConfig`."""

    class CompressionVariables(_Group):
        """``TEMPORAL_PAYLOAD_COMPRESSION__…``: the fields of `PayloadCompressionConfig`."""

    class LostBlobVariables(_Group):
        """``LOST_BLOBS__…``: the fields of `LostBlobConfig`."""

else:

    def _variables(config: type[Config], base: type[_Group] = _Group, **nested: type[_Group]):
        # Copies of the fields: nesting the configuration itself would hide the invalid variable.
        copies = {name: (field.annotation, field) for name, field in config.model_fields.items()}
        copies |= {name: (group | None, None) for name, group in nested.items()}
        return create_model(f"{config.__name__}Variables", __base__=base, **copies)

    StorageVariables = _variables(BlobStorageConfig, _StorageGroup)
    EncryptionVariables = _variables(PayloadEncryptionConfig)
    ZstdVariables = _variables(ZstdConfig)
    CompressionVariables = _variables(PayloadCompressionConfig, algorithm_config=ZstdVariables)
    LostBlobVariables = _variables(LostBlobConfig)


class OffloadingVariables(_Group):
    """``TEMPORAL_PAYLOAD_OFFLOADING__…``; offloading is on when ``STORAGE_CONFIG`` is set."""

    min_size_bytes: ByteSize = Field(default=DEFAULT_PAYLOAD_MIN_SIZE_BYTES, ge=0)
    history_min_size_bytes: ByteSize = Field(default=DEFAULT_HISTORY_MIN_SIZE_BYTES, ge=0)
    allow_other_namespaces: bool = False
    storage_config: StorageVariables | None = None


class FieldOffloadingVariables(_Group):
    """``ACTIVITY_ATTRIBUTES_OFFLOADING__…``; offloading is on when ``STORAGE_CONFIG`` is set."""

    min_size_bytes: ByteSize = Field(default=DEFAULT_FIELD_MIN_SIZE_BYTES, ge=0)
    whole_file_max_bytes: ByteSize = Field(
        default=DEFAULT_WHOLE_FILE_MAX_BYTES,
        ge=DEFAULT_WHOLE_FILE_MAX_BYTES,
        le=LARGEST_WHOLE_FILE_BYTES,
    )
    storage_config: StorageVariables | None = None


class WorkerSettings(BaseSettings):
    """Settings of a worker, read from its environment; keyword arguments take precedence.

    Raises:
        ConfigurationError: variables are invalid; the message names all of them and shows no
            value.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_nested_delimiter="__",
        env_parse_none_str="null",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    server_url: str = Field(
        default="https://api.mistral.ai", description="Base URL of the platform."
    )
    deployment_name: str | None = Field(
        default=None,
        description="Name of the deployment, and of its task queue; all workers of one name run "
        "the same workflows.",
    )
    temporal_server_url: str | None = Field(
        default=None, description="Temporal's host:port; by default, the platform names it."
    )
    temporal_namespace: str | None = Field(
        default=None, description="Temporal's namespace; by default, the platform names it."
    )
    temporal_task_queue: str = Field(
        default="default", description="Task queue of a worker without DEPLOYMENT_NAME."
    )
    temporal_api_key: SecretStr | None = Field(
        default=None, description="Key for Temporal; by default, over TLS, the platform's."
    )
    temporal_tls: bool | None = Field(
        default=None, description="TLS to Temporal; by default, as the platform says."
    )
    mistral_api_key: SecretStr | None = Field(default=None, description="Key for the platform.")
    mistral_sa_token_path: Path | None = Field(
        default=None,
        description="File with the key, read for every request; takes precedence over "
        "MISTRAL_API_KEY.",
    )
    temporal_payload_offloading: OffloadingVariables | None = None
    temporal_payload_encryption: EncryptionVariables | None = None
    temporal_payload_compression: CompressionVariables | None = None
    activity_attributes_offloading: FieldOffloadingVariables | None = None
    lost_blobs: LostBlobVariables | None = None
    check_storage_on_start: bool = Field(
        default=True, description="Refuse to start if a configured store cannot be used."
    )
    workflow_deadlock_timeout_seconds: float = Field(
        default=DEFAULT_WORKFLOW_DEADLOCK_SECONDS,
        gt=0,
        description="Time that a workflow's code may take without yielding, in seconds.",
    )
    kubernetes_service_host: str | None = Field(
        default=None, description="Set by Kubernetes in its containers."
    )
    mistral_offload_events: Literal["full", "reference", "off"] = Field(
        default="reference",
        description="Whether events are reported to the platform, and large values in them as "
        "references.",
    )

    _variable_file: Path = PrivateAttr(default=Path(".env"))

    if not TYPE_CHECKING:  # type checkers see the signature that pydantic derives

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise ConfigurationError(_describe(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, values: Any) -> Any:
        given = cast("dict[str, Any]", values)
        return {name: value for name, value in given.items() if value is not None}

    @field_validator("server_url")
    @classmethod
    def _check_server_url(cls, url: str) -> str:
        check_url(url, "the URL", remedy="set MISTRAL_API_KEY")
        return url

    @field_validator("temporal_server_url")
    @classmethod
    def _check_temporal_url(cls, url: str | None) -> str | None:
        if url is not None and "@" in url:
            raise ValueError("must not contain a user name or a password: set TEMPORAL_API_KEY")
        return url

    def misspelt_variables(self) -> dict[str, str]:
        """Return variables that are ignored because their group is misspelt, with correct names.

        Looks at the environment, and at the file that these settings were read from.
        """
        in_file = dotenv_values(self._variable_file) if self._variable_file.is_file() else {}
        return find_misspelt({*os.environ, *in_file}, list(names_of(WorkerSettings)))

    def replace(self, *, api_key: str | None, namespace: str | None) -> Self:
        """Return these settings with another API key and namespace; None keeps the own one.

        Raises:
            ConfigurationError: the key contains characters that no HTTP header carries.
        """
        changes: dict[str, object] = {}
        if api_key is not None:
            key = SecretStr(strip_credential(api_key, "api_key"))
            # The token file would take precedence over the key.
            changes |= {"mistral_api_key": key, "mistral_sa_token_path": None}
        if namespace is not None:
            changes["temporal_namespace"] = namespace
        return self.model_copy(update=changes) if changes else self

    @property
    def task_queue(self) -> str:
        """Task queue of this worker: the deployment's name, else ``temporal_task_queue``."""
        return self.deployment_name or self.temporal_task_queue

    @property
    def workflow_deadlock_timeout(self) -> timedelta:
        """Time that a workflow's code may take without yielding."""
        return timedelta(seconds=self.workflow_deadlock_timeout_seconds)

    @property
    def payload_offloading(self) -> PayloadOffloadingConfig | None:
        """Configuration of payload offloading, or None when it has no ``STORAGE_CONFIG``."""
        variables = self.temporal_payload_offloading
        if variables is None or variables.storage_config is None:
            return None
        return PayloadOffloadingConfig(
            storage_config=variables.storage_config.to_config(),
            # Only the given ones: an explicit `min_size_bytes` applies to histories, too.
            **variables.model_dump(exclude_unset=True, exclude={"storage_config"}),
        )

    @property
    def field_offloading(self) -> FieldOffloadingConfig | None:
        """Configuration of field offloading, or None when it has no ``STORAGE_CONFIG``."""
        variables = self.activity_attributes_offloading
        if variables is None or variables.storage_config is None:
            return None
        return FieldOffloadingConfig(
            storage_config=variables.storage_config.to_config(),
            **variables.model_dump(exclude_unset=True, exclude={"storage_config"}),
        )

    @property
    def payload_encryption(self) -> PayloadEncryptionConfig | None:
        """Configuration of payload encryption, or None without a variable for it."""
        variables = self.temporal_payload_encryption
        if variables is None:
            return None
        return PayloadEncryptionConfig(**variables.model_dump(exclude_unset=True))

    @property
    def payload_compression(self) -> PayloadCompressionConfig | None:
        """Configuration of payload compression, or None without a variable for it."""
        variables = self.temporal_payload_compression
        if variables is None:
            return None
        return PayloadCompressionConfig(**variables.model_dump(exclude_unset=True))

    @property
    def lost_blob_config(self) -> LostBlobConfig:
        """Conditions under which the worker ends an execution because a blob is missing."""
        variables = self.lost_blobs
        return LostBlobConfig(**variables.model_dump(exclude_unset=True) if variables else {})

    def require_store(self) -> None:
        """Check that a store is configured, for payloads or for activity fields.

        Raises:
            ConfigurationError: there is none.
        """
        if self.payload_offloading is None and self.field_offloading is None:
            raise ConfigurationError(
                "no store is configured: set the TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… or "
                "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__… variables to the workers' "
                "values, in the environment or in a file passed as --config"
            )

    def payload_encoder(
        self, *, largest_bytes: int | None = None, renews: bool = True
    ) -> PayloadEncoder:
        """Return the encoder that these settings configure.

        Args:
            largest_bytes: size in bytes of the largest payload it decodes; None for no limit.
            renews: False for a reader that must not write: old blobs that it reads stay old.

        Raises:
            MissingExtraError: the packages for a configured feature are not installed.
        """
        offloading = self.payload_offloading
        if offloading is not None and not renews:
            storage = offloading.storage_config.model_copy(update={"renew_after_seconds": 0.0})
            offloading = offloading.model_copy(update={"storage_config": storage})
        return PayloadEncoder(
            offloading,
            encryption=self.payload_encryption,
            compression=self.payload_compression,
            largest_bytes=largest_bytes,
        )

    def platform_token(self) -> str | None:
        """Return the token for the platform: that of the token file, else the API key, else None.

        Every call reads the file, since tokens are rotated in place.

        Raises:
            ConfigurationError: the key contains characters that no HTTP header carries.
            ServiceAccountTokenError: the file cannot be read, or holds no token.
        """
        if self.mistral_sa_token_path is not None:
            return read_service_account_token(self.mistral_sa_token_path)
        if self.mistral_api_key is None:
            return None
        return strip_credential(self.mistral_api_key.get_secret_value(), "MISTRAL_API_KEY")

    def require_platform_token(self) -> None:
        """Check that there is a token for the platform; warn where it may need none.

        Raises:
            ConfigurationError: there is none for Mistral's own platform, or it contains characters
                that no HTTP header carries.
            ServiceAccountTokenError: the file cannot be read, or holds no token.
        """
        if self.platform_token():
            return
        text = (
            f"there is no API key for the platform at {self.server_url}: set MISTRAL_API_KEY or "
            "MISTRAL_SA_TOKEN_PATH, or pass run_worker(…, api_key=…). The local platform of "
            "mistral-offload dev prints the key it accepts"
        )
        if self.server_url.rstrip("/") in SERVERS.values():
            raise ConfigurationError(text)
        _logger.warning("%s", text)

    def temporal_token(self, *, tls: bool) -> str | None:
        """Return the token for Temporal: its own API key, else the platform's, else None.

        Without TLS, the platform's token is not sent.

        Raises:
            ConfigurationError: the key contains characters that no HTTP header carries.
            ServiceAccountTokenError: the token file cannot be read, or holds no token.
        """
        if self.temporal_api_key is not None:
            return strip_credential(self.temporal_api_key.get_secret_value(), "TEMPORAL_API_KEY")
        return self.platform_token() if tls else None


class FileSettings(WorkerSettings):
    """Settings from a file of variables; variables missing there come from the environment."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of ``NAME=value`` lines.

        Raises:
            ConfigurationError: variables are invalid; the message names all of them and shows no
                value.
        """
        settings = cls(_env_file=path)  # pyright: ignore[reportCallIssue] - of pydantic-settings
        settings._variable_file = path
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank the file before the environment, because the caller has named it."""
        return init_settings, dotenv_settings, env_settings


_FIELD_NAMES = re.compile(rf"\b({'|'.join(BlobStorageConfig.model_fields)})\b")


def _describe(error: ValidationError) -> str:
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        variable = "__".join(str(part).upper() for part in item["loc"])
        text = item["msg"].removeprefix("Value error, ").removeprefix("BlobStorageConfig: ")
        parts = re.split(_FIELD_NAMES, text)  # every second part is a field's name
        if item["type"] == "value_error" and len(parts) > 1:
            # The message names fields of the group: replace them by their variables.
            parts[1::2] = [f"{variable}__{field.upper()}" for field in parts[1::2]]
            problems.append("".join(parts))
        elif item["type"] == "extra_forbidden":
            group, name, others = siblings(variable, names_of(WorkerSettings))
            suggestion = did_you_mean(name, others, start=group)
            problems.append(f"{variable}: unknown variable{suggestion}")
        elif item["type"] in ("model_type", "model_attributes_type"):
            problems.append(f"{variable}: not a JSON object")
        else:
            problems.append(f"{variable}: {text}")
    return "the worker's environment variables are invalid:\n  " + "\n  ".join(problems)
