"""The configured keys, tried one by one, to say which of them opens what. Never shows a key."""

from __future__ import annotations

from collections.abc import Callable

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecryptionError,
)
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.partial_encryption import decrypt_marked

_MISSING = (
    "Encrypted bytes do not tell their key: it is the main_key that their writer had when it wrote "
    "them. Give it as TEMPORAL_PAYLOAD_ENCRYPTION__"
)


class Keyring:
    """What can be opened with a configuration.

    Raises:
        MissingExtraError: keys are configured, and the extra ``encryption`` is not installed.
    """

    def __init__(self, config: PayloadEncryptionConfig | None) -> None:
        self._all = None if config is None else Cipher(config)
        self._ciphers = {} if config is None else _one_by_one(config)

    def open(self, sealed: bytes) -> tuple[bytes, str]:
        """What was encrypted, and the name of the key that opens it.

        Raises:
            EncryptionNotConfiguredError: there are no keys.
            PayloadDecryptionError: no key fits, or the bytes were changed.
        """
        return self._try(lambda cipher: cipher.decrypt(sealed), f"{len(sealed):,} bytes")

    def open_marked(self, data: bytes) -> tuple[bytes, str]:
        """JSON with its marked fields decrypted, and the name of the key that opens them.

        Raises:
            EncryptionNotConfiguredError: there are no keys.
            PayloadDecryptionError: no key fits, or a field was changed.
            PayloadDecodeError: a marked field is not what encrypting leaves.
        """
        return self._try(lambda cipher: decrypt_marked(data, cipher), "fields of the JSON")

    def _try(self, decrypt: Callable[[Cipher], bytes], what: str) -> tuple[bytes, str]:
        if self._all is None:
            raise EncryptionNotConfiguredError(
                f"{what} are encrypted, and no key is configured here. {_MISSING}MAIN_KEY (and "
                "__MODE), or with --config"
            )
        for name, cipher in self._ciphers.items():
            try:
                return decrypt(cipher), name
            except PayloadDecryptionError:
                continue
        try:
            return decrypt(self._all), "several keys"  # marked fields may have one each
        except PayloadDecryptionError:
            names = ", ".join(self._ciphers)
            raise PayloadDecryptionError(
                f"{what} are encrypted, and no key configured here ({names}) opens them. {_MISSING}"
                "SECONDARY_KEY, or in __RETIRED_KEYS; if it is among them, the bytes were changed"
            ) from None


def _one_by_one(config: PayloadEncryptionConfig) -> dict[str, Cipher]:
    given = {"main_key": config.main_key, "secondary_key": config.secondary_key}
    given |= {f"retired_keys[{n}]": key for n, key in enumerate(config.retired_keys)}
    return {
        name: Cipher(PayloadEncryptionConfig(mode=config.mode, main_key=key))
        for name, key in given.items()
        if key is not None
    }
