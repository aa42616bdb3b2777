"""Whether the keys can be used, and open what they have sealed."""

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
_NOBODY = PayloadContext("mistral-offload-doctor", "no-execution")


class EncryptionChecks:
    """The encryption that settings ask for; none, if they do not."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._config = settings.payload_encryption

    def checks(self) -> list[Check]:
        """One check, for each key."""
        if self._config is None:
            return []
        return [Check("encryption.keys", "encryption: keys", self._keys)]

    async def _keys(self) -> Verdict:
        config = self._config
        assert config is not None  # noqa: S101 - there is no check without
        return await asyncio.to_thread(_try_keys, config)


def _try_keys(config: PayloadEncryptionConfig) -> Verdict:
    encoder = PayloadEncoder(encryption=config)
    value = dump_json(EncryptedStrField(data=_TEXT))
    sealed = encoder.encode(value, _NOBODY)
    if _TEXT.encode() in sealed.data or encoder.decode(sealed) != value:
        return failed(
            "what the main key seals is not hidden, or not what it opens",
            "reinstall cryptography, and report it as a fault of ours",
        )
    repeated = len(config.keys) - len(set(config.keys))
    if repeated:
        return warning(
            f"{repeated} of the {len(config.keys)} keys are given twice",
            "make TEMPORAL_PAYLOAD_ENCRYPTION__SECONDARY_KEY and __RETIRED_KEYS the keys that "
            "were replaced, or leave them out",
        )
    old = len(config.keys) - 1
    return ok(
        f"the main key of {len(config.keys[0]) * 8} bits seals and opens; "
        f"{old or 'no'} older key{'' if old == 1 else 's'}"
    )
