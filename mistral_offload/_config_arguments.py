"""Arguments that must be a configuration of a certain class."""

from __future__ import annotations

from collections.abc import Mapping

from mistral_offload.config import BlobStorageConfig, Config
from mistral_offload.errors import ConfigurationError


def require_config(value: object, kind: type[Config], setting: str) -> None:
    """Check that an argument is a configuration of this class, or None.

    Args:
        value: the argument.
        kind: the class.
        setting: name of the argument.

    Raises:
        ConfigurationError: it is something else; the text has the line to write.
    """
    if value is None or isinstance(value, kind):
        return
    given = type(value).__name__
    if isinstance(value, BlobStorageConfig) and "storage_config" in kind.model_fields:
        line = f"{setting}={kind.__name__}(storage_config=BlobStorageConfig(…))"
    elif isinstance(value, Mapping):
        line = f"{setting}={kind.__name__}(**settings), where settings is your dict"
    else:
        line = f"{setting}={kind.__name__}(…)"
    raise ConfigurationError(f"{setting} must be a {kind.__name__}, not a {given}: write {line}")
