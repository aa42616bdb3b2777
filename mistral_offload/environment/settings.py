"""The worker's environment variables, and a ``.env`` file in the working directory.

Names are the platform's, in any case; ``__`` separates levels; a whole group may be given as JSON;
the text ``null`` means unset, as does an empty text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import Self

from mistral_offload.api.connection import read_service_account_token
from mistral_offload.config import (
    BlobStorageConfig,
    Config,
    FieldOffloadingConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    ZstdConfig,
)
from mistral_offload.errors import ConfigurationError, StorageConfigError
from mistral_offload.limits import DEFAULT_FIELD_MIN_SIZE_BYTES, DEFAULT_PAYLOAD_MIN_SIZE_BYTES
from mistral_offload.payload.encoder import PayloadEncoder


class _Group(BaseModel):
    # Not BaseSettings: those would read unprefixed variables such as BUCKET_NAME as well.
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
        """The configuration they describe."""
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

else:

    def _variables(config: type[Config], base: type[_Group] = _Group, **nested: type[_Group]):
        # A copy of the fields, since a configuration as such would hide which variable is wrong.
        copies = {name: (field.annotation, field) for name, field in config.model_fields.items()}
        copies |= {name: (group | None, None) for name, group in nested.items()}
        return create_model(f"{config.__name__}Variables", __base__=base, **copies)

    StorageVariables = _variables(BlobStorageConfig, _StorageGroup)
    EncryptionVariables = _variables(PayloadEncryptionConfig)
    ZstdVariables = _variables(ZstdConfig)
    CompressionVariables = _variables(PayloadCompressionConfig, algorithm_config=ZstdVariables)


class OffloadingVariables(_Group):
    """``TEMPORAL_PAYLOAD_OFFLOADING__…``; the storage block is what enables the feature."""

    min_size_bytes: int = Field(default=DEFAULT_PAYLOAD_MIN_SIZE_BYTES, ge=0)
    allow_other_namespaces: bool = False
    storage_config: StorageVariables | None = None


class FieldOffloadingVariables(_Group):
    """``ACTIVITY_ATTRIBUTES_OFFLOADING__…``; the storage block is what enables the feature."""

    min_size_bytes: int = Field(default=DEFAULT_FIELD_MIN_SIZE_BYTES, ge=0)
    storage_config: StorageVariables | None = None


class WorkerSettings(BaseSettings):
    """What a worker reads from its environment. What is given by keyword wins over it.

    Raises:
        ConfigurationError: variables are wrong; every one is named, and no value is shown.
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

    server_url: str = "https://api.mistral.ai"
    deployment_name: str | None = None
    temporal_server_url: str | None = None
    temporal_namespace: str | None = None
    temporal_task_queue: str = "default"
    temporal_api_key: SecretStr | None = None
    temporal_tls: bool | None = None
    mistral_api_key: SecretStr | None = None
    mistral_sa_token_path: Path | None = None
    temporal_payload_offloading: OffloadingVariables | None = None
    temporal_payload_encryption: EncryptionVariables | None = None
    temporal_payload_compression: CompressionVariables | None = None
    activity_attributes_offloading: FieldOffloadingVariables | None = None
    check_storage_on_start: bool = True
    kubernetes_service_host: str | None = None

    if not TYPE_CHECKING:  # checkers keep the signature that pydantic makes from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise ConfigurationError(_report(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, values: Any) -> Any:
        given = cast("dict[str, Any]", values)
        return {name: value for name, value in given.items() if value is not None}

    @property
    def task_queue(self) -> str:
        """The queue this worker takes tasks from: the deployment's, if it has a name."""
        return self.deployment_name or self.temporal_task_queue

    @property
    def payload_offloading(self) -> PayloadOffloadingConfig | None:
        """Payload offloading, when there is a storage block for it."""
        variables = self.temporal_payload_offloading
        if variables is None or variables.storage_config is None:
            return None
        return PayloadOffloadingConfig(
            storage_config=variables.storage_config.to_config(),
            min_size_bytes=variables.min_size_bytes,
            allow_other_namespaces=variables.allow_other_namespaces,
        )

    @property
    def field_offloading(self) -> FieldOffloadingConfig | None:
        """Offloading of activity fields, when there is a storage block for it."""
        variables = self.activity_attributes_offloading
        if variables is None or variables.storage_config is None:
            return None
        return FieldOffloadingConfig(
            storage_config=variables.storage_config.to_config(),
            min_size_bytes=variables.min_size_bytes,
        )

    @property
    def payload_encryption(self) -> PayloadEncryptionConfig | None:
        """Payload encryption, when there is a variable for it."""
        variables = self.temporal_payload_encryption
        if variables is None:
            return None
        return PayloadEncryptionConfig(**variables.model_dump(exclude_unset=True))

    @property
    def payload_compression(self) -> PayloadCompressionConfig | None:
        """Payload compression, when there is a variable for it."""
        variables = self.temporal_payload_compression
        if variables is None:
            return None
        return PayloadCompressionConfig(**variables.model_dump(exclude_unset=True))

    def payload_encoder(self, *, largest_bytes: int | None = None) -> PayloadEncoder:
        """The encoder for all of that; ``largest_bytes`` bounds what it reads.

        Raises:
            MissingExtraError: what a variable asks for is not installed.
        """
        return PayloadEncoder(
            self.payload_offloading,
            encryption=self.payload_encryption,
            compression=self.payload_compression,
            largest_bytes=largest_bytes,
        )

    def platform_token(self) -> str | None:
        """What authorizes requests to the platform: the token file, else the API key.

        The file is read anew each time, since tokens are rotated in place.

        Raises:
            ServiceAccountTokenError: the file cannot be read, or is empty.
        """
        if self.mistral_sa_token_path is not None:
            return read_service_account_token(self.mistral_sa_token_path)
        return self.mistral_api_key.get_secret_value() if self.mistral_api_key else None

    def temporal_token(self, *, tls: bool) -> str | None:
        """What authorizes requests to Temporal: its own key, else the platform's over TLS only.

        Raises:
            ServiceAccountTokenError: the token file cannot be read, or is empty.
        """
        if self.temporal_api_key is not None:
            return self.temporal_api_key.get_secret_value()
        return self.platform_token() if tls else None


class FileSettings(WorkerSettings):
    """What a file of variables says, and the environment where it says nothing."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of ``NAME=value`` lines.

        Raises:
            ConfigurationError: variables are wrong; every one is named, and no value is shown.
        """
        return cls(_env_file=path)  # pyright: ignore[reportCallIssue] - of pydantic-settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The file before the environment, since it was asked for by name."""
        return init_settings, dotenv_settings, env_settings


_FIELD_NAMES = re.compile(rf"\b({'|'.join(BlobStorageConfig.model_fields)})\b")


def _report(error: ValidationError) -> str:
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        variable = "__".join(str(part).upper() for part in item["loc"])
        text = item["msg"].removeprefix("Value error, ").removeprefix("BlobStorageConfig: ")
        named = re.split(_FIELD_NAMES, text)  # every second piece is a field's name
        if item["type"] == "value_error" and len(named) > 1:
            # Speaks of the fields of the group: name the variables.
            named[1::2] = [f"{variable}__{field.upper()}" for field in named[1::2]]
            problems.append("".join(named))
        elif item["type"] == "extra_forbidden":
            problems.append(f"{variable}: there is no such variable")
        elif item["type"] in ("model_type", "model_attributes_type"):
            problems.append(f"{variable}: not a JSON object")
        else:
            problems.append(f"{variable}: {text}")
    return "the worker's environment is not usable:\n  " + "\n  ".join(problems)
