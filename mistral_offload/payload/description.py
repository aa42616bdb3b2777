"""What is done to payloads, in words for a log: no key, no credentials."""

from __future__ import annotations

from mistral_offload.config import (
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)


def describe(
    offloading: PayloadOffloadingConfig | None,
    encryption: PayloadEncryptionConfig | None,
    compression: PayloadCompressionConfig | None,
) -> str:
    """One line for a whole configuration."""
    return "; ".join(
        (
            f"offloading: {_offloading(offloading) if offloading else 'off'}",
            f"encryption: {_encryption(encryption) if encryption else 'off'}",
            f"compression: {_compression(compression) if compression else 'off'}",
        )
    )


def _offloading(config: PayloadOffloadingConfig) -> str:
    storage = config.storage_config
    return f"from {config.min_size_bytes:,} bytes on, to {storage.description}"


def _encryption(config: PayloadEncryptionConfig) -> str:
    old = len(config.keys) - 1
    blobs = "encrypted" if config.blobs else "in the clear"
    return f"{config.mode.value}, blobs {blobs}, {old} old key{'' if old == 1 else 's'}"


def _compression(config: PayloadCompressionConfig) -> str:
    algorithm = config.algorithm_config
    return f"from {config.min_size_bytes:,} bytes on, {algorithm.algorithm} level {algorithm.level}"
