"""Checks that the encryption keys work, by encrypting and decrypting a value."""

from __future__ import annotations

import asyncio

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.doctor.findings import Check, Verdict, failed, ok, warning
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.partial_encryption import EncryptedStrField

_TEXT = "only for those who have a key"
_CONTEXT = PayloadContext("mistral-offload-doctor", "no-execution")


class EncryptionChecks:
    """Checks the keys of the settings; there are no checks without encryption."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._config = settings.payload_encryption

    def checks(self) -> list[Check]:
        """Return one check, of all keys."""
        if self._config is None:
            return []
        return [Check("encryption.keys", "encryption: keys", self._keys)]

    async def _keys(self) -> Verdict:
        config = self._config
        assert config is not None  # noqa: S101 - otherwise there is no such check
        return await asyncio.to_thread(_try_keys, config)


def _try_keys(config: PayloadEncryptionConfig) -> Verdict:
    encoder = PayloadEncoder(encryption=config)
    value = dump_json(EncryptedStrField(data=_TEXT))
    encrypted = encoder.encode(value, _CONTEXT)
    if _TEXT.encode() in encrypted.data or encoder.decode(encrypted) != value:
        return failed(
            "a value encrypted with the main key is still readable, or does not decrypt to itself",
            "reinstall cryptography, and report a bug of mistral-offload",
        )
    repeated = len(config.keys) - len(set(config.keys))
    if repeated:
        return warning(
            f"{repeated} of the {len(config.keys)} keys are duplicates",
            "set TEMPORAL_PAYLOAD_ENCRYPTION__SECONDARY_KEY and __RETIRED_KEYS to the keys that "
            "were replaced, or remove them",
        )
    old = len(config.keys) - 1
    return ok(
        f"the main key of {len(config.keys[0]) * 8} bits encrypts and decrypts; "
        f"{old or 'no'} older key{'' if old == 1 else 's'}"
    )
