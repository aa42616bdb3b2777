"""Checks of the settings: describes them without secrets, and finds contradictions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mistral_offload.config import BlobStorageConfig
from mistral_offload.doctor.configured_stores import FIELD_VARIABLES, PAYLOAD_VARIABLES
from mistral_offload.doctor.findings import Check, Verdict, ok, warning
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.environment.variable_names import describe_misspelt
from mistral_offload.limits import (
    INLINE_LIMIT_BYTES,
    PAYLOAD_LIMIT_BYTES,
    SMALLEST_OFFLOADED_BYTES,
)
from mistral_offload.payload.encoder import describe_thresholds

_ENCRYPTION_VARIABLES = "TEMPORAL_PAYLOAD_ENCRYPTION"


class SettingsChecks:
    """Checks the settings, and the names of environment variables; does no I/O."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def checks(self) -> list[Check]:
        """Return one check for each group of variables."""
        examinations: tuple[tuple[str, str, Callable[[], Verdict]], ...] = (
            ("payload_offloading", "payload offloading", self._payload_offloading),
            ("activity_fields", "activity fields", self._activity_fields),
            ("encryption", "encryption", self._encryption),
            ("compression", "compression", self._compression),
            ("worker", "worker", self._worker),
            ("variables", "variables", self._variables),
        )
        return [
            Check(f"settings.{name}", f"settings: {title}", _awaitable(examine))
            for name, title, examine in examinations
        ]

    def _payload_offloading(self) -> Verdict:
        config = self._settings.payload_offloading
        if config is not None:
            return _check_thresholds(
                config.storage_config,
                describe_thresholds(config),
                PAYLOAD_VARIABLES,
                MIN_SIZE_BYTES=config.min_size_bytes,
                HISTORY_MIN_SIZE_BYTES=config.history_floor_bytes,
            )
        if self._settings.temporal_payload_offloading is not None:
            return _warn_no_storage_block(PAYLOAD_VARIABLES)
        if self._settings.field_offloading is not None:
            return ok(f"off: payloads over {INLINE_LIMIT_BYTES:,} bytes are rejected")
        return warning(
            f"nothing is offloaded: payloads over {INLINE_LIMIT_BYTES:,} bytes are rejected",
            f"set {PAYLOAD_VARIABLES}__STORAGE_CONFIG__BUCKET_NAME, or the variables that "
            "docs/storage.md lists for another provider",
        )

    def _activity_fields(self) -> Verdict:
        config = self._settings.field_offloading
        if config is not None:
            size = config.min_size_bytes
            return _check_thresholds(
                config.storage_config,
                f"from {size:,} bytes on",
                FIELD_VARIABLES,
                MIN_SIZE_BYTES=size,
            )
        if self._settings.activity_attributes_offloading is not None:
            return _warn_no_storage_block(FIELD_VARIABLES)
        return ok("off")

    def _encryption(self) -> Verdict:
        config = self._settings.payload_encryption
        if config is None:
            return ok("off")
        unencrypted: dict[str, str] = {}
        if config.is_full and not config.blobs and self._settings.payload_offloading is not None:
            unencrypted["payloads"] = "ENCRYPT_BLOBS"
        if config.is_full and not config.encrypt_fields and self._settings.field_offloading:
            unencrypted["activity fields"] = "ENCRYPT_FIELDS"
        if unencrypted:
            variables = (f"{_ENCRYPTION_VARIABLES}__{name}=true" for name in unencrypted.values())
            return warning(
                f"full, but offloaded {' and '.join(unencrypted)} are not encrypted",
                f"set {' and '.join(variables)}, if all readers use this package",
            )
        blobs = "encrypted" if config.blobs else "not encrypted except for marked fields"
        return ok(f"{config.mode.value}, blobs {blobs}, main key ***")

    def _compression(self) -> Verdict:
        config = self._settings.payload_compression
        if config is None:
            return ok("off")
        algorithm = config.algorithm_config
        return ok(
            f"{algorithm.algorithm} level {algorithm.level} from {config.min_size_bytes:,} bytes on"
        )

    def _worker(self) -> Verdict:
        settings = self._settings
        queue = settings.temporal_task_queue
        if "temporal_task_queue" in settings.model_fields_set and settings.task_queue != queue:
            return warning(
                f"DEPLOYMENT_NAME {settings.deployment_name!r} is the task queue, and "
                f"TEMPORAL_TASK_QUEUE {queue!r} is not used",
                "remove one of them",
            )
        skipped = "" if settings.check_storage_on_start else ", stores not checked on start"
        return ok(f"platform {settings.server_url}, task queue {settings.task_queue!r}{skipped}")

    def _variables(self) -> Verdict:
        misspelt = self._settings.misspelt_variables()
        if not misspelt:
            return ok("no misspelt names found")
        return warning(*describe_misspelt(misspelt))


def _check_thresholds(
    config: BlobStorageConfig, thresholds: str, group: str, **sizes: int
) -> Verdict:
    detail = f"{thresholds}, to {config.description}, {_credentials(config)}"
    for variable, size in sizes.items():
        remedy = f"set {group}__{variable} between {SMALLEST_OFFLOADED_BYTES} and"
        remedy += f" {PAYLOAD_LIMIT_BYTES}, in clients as well"
        if size > PAYLOAD_LIMIT_BYTES:
            return warning(
                f"{detail}; effectively from {INLINE_LIMIT_BYTES:,} bytes on, since larger "
                "payloads cannot be delivered inline",
                remedy,
            )
        if size < SMALLEST_OFFLOADED_BYTES:
            return warning(
                f"{detail}; a reference is hardly smaller, and each costs a request", remedy
            )
    return ok(detail)


def _credentials(config: BlobStorageConfig) -> str:
    if config.aws_access_key_id or config.azure_connection_string:
        return "credentials *** in the settings"
    if config.service_account_path is not None:
        return f"credentials from {str(config.service_account_path)!r}"
    return "credentials from the provider's chain"


def _warn_no_storage_block(group: str) -> Verdict:
    return warning(
        f"off: {group}__… is set without a storage block",
        f"set {group}__STORAGE_CONFIG__BUCKET_NAME, or the variables that docs/storage.md lists "
        "for another provider",
    )


def _awaitable(examine: Callable[[], Verdict]) -> Callable[[], Awaitable[Verdict]]:
    async def examine_async() -> Verdict:
        return examine()

    return examine_async
