"""Guards a listing against servers that repeat themselves, so that every listing ends."""

from __future__ import annotations

from collections.abc import Sequence

from mistral_offload.errors import StorageError

_MOST_EMPTY_PAGES = 1000
"""Empty pages in a row after which a listing is given up."""


class ListingGuard:
    """Checks the pages of one listing, in their order.

    Args:
        provider: the provider, for the errors.
        container: the bucket or container, for the errors.
        prefix: the text that every physical key begins with.
    """

    def __init__(self, provider: str, container: str, prefix: str) -> None:
        self._provider = provider
        self._container = container
        self._prefix = prefix
        self._tokens: set[str] = set()
        self._first_keys: set[str] = set()
        self._empty_pages = 0

    def check(self, keys: Sequence[str], next_token: str | None) -> None:
        """Check the next page: its physical keys, and the token of the page after it.

        Raises:
            StorageError: it repeats an earlier page or its token, has a key without the prefix, or
                is one of too many empty pages.
        """
        if next_token is not None:
            if next_token in self._tokens:
                raise self._error("it repeats the token of an earlier page")
            self._tokens.add(next_token)
        if not keys:
            self._empty_pages += 1
            if self._empty_pages > _MOST_EMPTY_PAGES:
                raise self._error(f"{_MOST_EMPTY_PAGES:,} pages in a row are empty")
            return
        self._empty_pages = 0
        if keys[0] in self._first_keys:
            raise self._error("it repeats an earlier page: it ignores the token or the last key")
        self._first_keys.add(keys[0])
        if not all(key.startswith(self._prefix) for key in keys):
            raise self._error("it lists keys that do not begin with the prefix")

    def _error(self, fault: str) -> StorageError:
        return StorageError(
            f"the server cannot be listed: {fault}. Nothing can rely on what was listed so far",
            provider=self._provider,
            container=self._container,
            key=self._prefix or None,
        )
