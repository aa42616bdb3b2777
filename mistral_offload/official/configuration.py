"""Configuration from the official SDK's objects, and from variables of our own for the rest.

Everything that the official SDK knows comes from its own objects, which it reads from its own
variables. Settings that it does not have are named ``MISTRAL_OFFLOAD_<SETTING>``, for example
``MISTRAL_OFFLOAD_CACHE_DIRECTORY``; they apply to all stores of the process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    ZstdConfig,
)
from mistral_offload.errors import ConfigurationError, MissingExtraError
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT

PREFIX = "MISTRAL_OFFLOAD_"
SWITCH = "MISTRAL_OFFLOAD_OFFICIAL"
ENCRYPT_BLOBS = "MISTRAL_OFFLOAD_ENCRYPT_BLOBS"
ALLOW_OTHER_NAMESPACES = "MISTRAL_OFFLOAD_ALLOW_OTHER_NAMESPACES"
EVENTS = "MISTRAL_OFFLOAD_EVENTS"
MAX_DECOMPRESSED_BYTES = "MISTRAL_OFFLOAD_MAX_DECOMPRESSED_BYTES"

_OFFICIAL_FIELDS = frozenset(
    {
        "storage_provider",
        "prefix",
        "container_name",
        "azure_connection_string",
        "azure_storage_account_url",
        "bucket_id",
        "bucket_name",
        "region_name",
        "endpoint_url",
        "aws_access_key_id",
        "aws_secret_access_key",
    }
)
_OWN_FIELDS = frozenset(BlobStorageConfig.model_fields) - _OFFICIAL_FIELDS - {"path"}
# Read elsewhere, by `mistral-offload codec-server`.
_FOREIGN = frozenset({"MISTRAL_OFFLOAD_CODEC_TOKEN"})
_KNOWN = (
    _FOREIGN
    | {SWITCH, ENCRYPT_BLOBS, ALLOW_OTHER_NAMESPACES, EVENTS, MAX_DECOMPRESSED_BYTES}
    | {f"{PREFIX}{name.upper()}" for name in _OWN_FIELDS}
)
_PACKAGES = {"s3": "boto3", "azure": "azure.storage.blob", "gcs": "google.cloud.storage"}
_WORDS = {
    **dict.fromkeys(("on", "1", "true", "yes"), True),
    **dict.fromkeys(("off", "0", "false", "no"), False),
}


def is_switched_on() -> bool:
    """Return True unless ``MISTRAL_OFFLOAD_OFFICIAL`` is off.

    Raises:
        ConfigurationError: the variable is neither on nor off.
    """
    return read_switch(SWITCH, default=True)


def read_switch(name: str, *, default: bool) -> bool:
    """Return the state of a variable that is on or off.

    Raises:
        ConfigurationError: it is neither.
    """
    text = os.environ.get(name, "").strip().lower()
    if not text:
        return default
    if text not in _WORDS:
        raise ConfigurationError(f"{name} must be on or off, not {text!r}")
    return _WORDS[text]


def find_unknown_variables() -> list[str]:
    """Return the names of variables that begin like ours and mean nothing."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in _KNOWN)


def require_packages(config: BlobStorageConfig) -> None:
    """Check that a store's packages are installed; the official SDK uses others for some.

    Raises:
        MissingExtraError: one is not installed.
    """
    package = _PACKAGES[config.storage_provider.value]
    try:
        found = find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None:
        provider = config.storage_provider.value
        raise MissingExtraError(f"{provider} storage", provider)


def storage_of(official: Any, root: str) -> BlobStorageConfig:
    """Return the configuration of a store in which keys are where the official SDK looks for them.

    Args:
        official: a ``BlobStorageConfig`` of the official SDK.
        root: the first segment of the keys.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    given = {name: getattr(official, name, None) for name in _OFFICIAL_FIELDS}
    values = {name: value for name, value in given.items() if _is_set(value)}
    if "azure_connection_string" in values:
        values.pop("azure_storage_account_url", None)  # the official SDK ignores it then
    provider = values.get("storage_provider")
    if provider is not None:
        values["storage_provider"] = getattr(provider, "value", provider)
    prefix = _common_prefix(values.pop("prefix", None) or "", root)
    return BlobStorageConfig(prefix=prefix, **values, **_own_settings())


def _common_prefix(prefix: str, root: str) -> str | None:
    """Return the prefix that gives the physical keys that the official SDK's rule gives.

    That rule adds no prefix to a key that begins with the same text, and keeps its slashes.

    Raises:
        ConfigurationError: there is none.
    """
    if f"{root}/".startswith(prefix):
        return None
    if prefix.startswith(f"{root}/") or "" in prefix.split("/"):
        raise ConfigurationError(
            f"with prefix {prefix!r} the official SDK stores blobs where this package does not: a "
            f"prefix needs no slash at its ends, and does not begin with {root}/"
        )
    return prefix


def offloading_of(official: Any) -> PayloadOffloadingConfig | None:
    """Return the configuration of payload offloading; None if there is no store.

    Args:
        official: a ``PayloadOffloadingConfig`` of the official SDK, or None.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    if official is None or not official.storage_config:
        return None
    return PayloadOffloadingConfig(
        storage_config=storage_of(official.storage_config, PAYLOAD_ROOT),
        min_size_bytes=official.min_size_bytes,
        allow_other_namespaces=read_switch(ALLOW_OTHER_NAMESPACES, default=False),
    )


def fields_of(official: Any) -> FieldOffloadingConfig | None:
    """Return the configuration of activity fields; None if there is no store.

    Args:
        official: a ``PayloadOffloadingConfig`` of the official SDK, or None.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    if official is None or not official.storage_config:
        return None
    return FieldOffloadingConfig(
        storage_config=storage_of(official.storage_config, FIELD_ROOT),
        min_size_bytes=official.min_size_bytes,
    )


def encryption_of(official: Any) -> PayloadEncryptionConfig | None:
    """Return the configuration of encryption; blobs stay readable for official workers.

    Args:
        official: a ``PayloadEncryptionConfig`` of the official SDK, or None.

    Raises:
        ConfigurationError: a key is missing or is no key.
    """
    if official is None:
        return None
    secondary = official.secondary_key
    return PayloadEncryptionConfig(
        mode=getattr(official.mode, "value", official.mode),
        main_key=official.main_key,
        secondary_key=secondary if _is_set(secondary) else None,
        encrypt_blobs=read_switch(ENCRYPT_BLOBS, default=False),
    )


def compression_of(official: Any) -> PayloadCompressionConfig | None:
    """Return the configuration of compression.

    Args:
        official: a ``PayloadCompressionConfig`` of the official SDK, or None.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    if official is None:
        return None
    algorithm = official.algorithm_config
    given = os.environ.get(MAX_DECOMPRESSED_BYTES)
    limit: dict[str, Any] = {} if not given else {"max_decompressed_bytes": given}
    return PayloadCompressionConfig(
        min_size_bytes=official.min_size_bytes,
        algorithm_config=ZstdConfig(algorithm=algorithm.algorithm, level=algorithm.level),
        **limit,
    )


def _own_settings() -> Mapping[str, Any]:
    """Return the settings of stores that only this package has, from the environment."""
    settings: dict[str, Any] = {}
    for name in _OWN_FIELDS:
        variable = f"{PREFIX}{name.upper()}"
        text = os.environ.get(variable)
        if not text:
            continue
        settings[name] = text
        if name == "read_also":
            try:
                settings[name] = json.loads(text)
            except ValueError:
                raise ConfigurationError(
                    f"{variable} must be a JSON list of stores, each an object such as "
                    '{"bucket_name": "old-payloads"}'
                ) from None
    return settings


def _is_set(value: Any) -> bool:
    """Return False for None and empty texts, secret ones included, which count as not set."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    return value not in (None, "")
