"""The configured encryption keys, tried one by one to name the one that decrypts. Shows no key."""

from __future__ import annotations

from collections.abc import Callable

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecryptionError,
)
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.partial_encryption import decrypt_marked

_KEY_HINT = (
    "Encrypted bytes do not name their key: it is the main_key that their writer used at the time. "
    "Set it as TEMPORAL_PAYLOAD_ENCRYPTION__"
)


class Keyring:
    """Decrypts with the keys of a configuration, and names the key that fits.

    Args:
        config: the keys; None if there are none.

    Raises:
        MissingExtraError: keys are configured, and the extra ``encryption`` is not installed.
    """

    def __init__(self, config: PayloadEncryptionConfig | None) -> None:
        self._all = None if config is None else Cipher(config)
        self._ciphers = {} if config is None else _ciphers_by_name(config)

    def decrypt(self, encrypted: bytes) -> tuple[bytes, str]:
        """Return the decrypted bytes, and the name of the key that decrypts them.

        Raises:
            EncryptionNotConfiguredError: no key is configured.
            PayloadDecryptionError: no key fits, or the bytes were changed.
        """
        return self._try(lambda cipher: cipher.decrypt(encrypted), f"{len(encrypted):,} bytes")

    def decrypt_marked(self, data: bytes) -> tuple[bytes, str]:
        """Return JSON with its marked fields decrypted, and the name of the key that fits.

        Raises:
            EncryptionNotConfiguredError: no key is configured.
            PayloadDecryptionError: no key fits, or a field was changed.
            PayloadDecodeError: a marked field is malformed.
        """
        return self._try(lambda cipher: decrypt_marked(data, cipher), "fields of the JSON")

    def _try(self, decrypt: Callable[[Cipher], bytes], what: str) -> tuple[bytes, str]:
        if self._all is None:
            raise EncryptionNotConfiguredError(
                f"{what} are encrypted, and no key is configured here. {_KEY_HINT}MAIN_KEY (and "
                "__MODE), in the environment or in a file passed with --config"
            )
        for name, cipher in self._ciphers.items():
            try:
                return decrypt(cipher), name
            except PayloadDecryptionError:
                continue
        try:
            return decrypt(self._all), "several keys"  # each marked field may have its own
        except PayloadDecryptionError:
            names = ", ".join(self._ciphers)
            raise PayloadDecryptionError(
                f"{what} are encrypted, and no key configured here ({names}) decrypts them. "
                f"{_KEY_HINT}SECONDARY_KEY, or add it to __RETIRED_KEYS. If it is among the keys "
                "configured, the bytes were changed"
            ) from None


def _ciphers_by_name(config: PayloadEncryptionConfig) -> dict[str, Cipher]:
    given = {"main_key": config.main_key, "secondary_key": config.secondary_key}
    given |= {f"retired_keys[{n}]": key for n, key in enumerate(config.retired_keys)}
    return {
        name: Cipher(PayloadEncryptionConfig(mode=config.mode, main_key=key))
        for name, key in given.items()
        if key is not None
    }
