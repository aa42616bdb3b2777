"""The prefix of a configuration: joined to keys here, exactly once, and taken off here."""

from __future__ import annotations


class KeyPrefix:
    """A path put before every key, segment by segment.

    ``data``, ``data/`` and ``/data`` are the same prefix: the key ``a/b`` is kept as ``data/a/b``.
    The prefix is always added, also to a key that happens to begin with the same text.
    """

    def __init__(self, prefix: str | None) -> None:
        self._given = prefix or ""
        self._text = "".join(f"{segment}/" for segment in (prefix or "").split("/") if segment)

    def __str__(self) -> str:
        return self._text.rstrip("/")

    def join(self, key: str) -> str:
        """The physical key of a logical one.

        Raises:
            ValueError: the key is empty.
        """
        if not key:
            raise ValueError("a blob needs a key; the empty string is none")
        return self._text + key

    def join_as_official(self, key: str) -> str:
        """Where the official SDK keeps a key.

        It compares plain text: no prefix is added to a key that begins with the same characters,
        and a slash at either end of the prefix stays in the key.
        """
        if not self._given or key.startswith(self._given):
            return key
        return f"{self._given}/{key}"

    def start(self, text: str) -> str:
        """What the physical keys begin with whose logical ones begin with ``text``."""
        return self._text + text

    def strip(self, physical_key: str) -> str:
        """The logical key of a physical one."""
        return physical_key.removeprefix(self._text)
