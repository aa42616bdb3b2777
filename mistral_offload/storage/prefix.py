"""The configured key prefix: the one place where it is added to keys and removed from them."""

from __future__ import annotations

from mistral_offload._storage_values import check_prefix


class KeyPrefix:
    """A path put before every logical key to give the physical key, segment by segment.

    ``data``, ``data/`` and ``/data`` are the same prefix: the key ``a/b`` is stored as
    ``data/a/b``. The prefix is always added, also to a key that happens to begin with the same
    text.

    Raises:
        StorageConfigError: the prefix has a segment ``.`` or ``..``, or is an address.
    """

    def __init__(self, prefix: str | None) -> None:
        check_prefix(prefix or "")
        self._given = prefix or ""
        self._text = "".join(f"{segment}/" for segment in (prefix or "").split("/") if segment)

    def __str__(self) -> str:
        return self._text.rstrip("/")

    def join(self, key: str) -> str:
        """Return the physical key of a logical one.

        Raises:
            ValueError: the key is empty.
        """
        if not key:
            raise ValueError("a blob needs a key; the empty string is not a key")
        return self._text + key

    def join_as_official(self, key: str) -> str:
        """Return the physical key that the official SDK uses for a logical one.

        It compares plain text: a key that begins with the same characters gets no prefix, and a
        slash at either end of the prefix stays in the key.
        """
        if not self._given or key.startswith(self._given):
            return key
        return f"{self._given}/{key}"

    def physical_prefix(self, text: str) -> str:
        """Return the text that begins each physical key whose logical key begins with ``text``."""
        return self._text + text

    def strip(self, physical_key: str) -> str:
        """Return the logical key of a physical one."""
        return physical_key.removeprefix(self._text)
