"""What a provider keeps of a bucket's lifecycle, whole, whoever wrote it. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod

from typing_extensions import Self

from mistral_offload.lifecycle.rules import ExpiryRule


class LifecycleDocument(ABC):
    """The rules of a bucket as its provider writes them; never changed in place.

    Providers replace the whole of it with every write, so it is kept whole: rules of others, and
    members that this package knows nothing of, are written back as they were read. Two documents
    are equal when they mean the same.
    """

    @property
    @abstractmethod
    def rules(self) -> tuple[ExpiryRule, ...]:
        """The rules that remove blobs by their age, in the provider's order."""

    @abstractmethod
    def with_expiry(self, prefix: str, days: int) -> Self:
        """The document with our rule for a prefix, in the place of the one it may have had."""

    @abstractmethod
    def __eq__(self, other: object) -> bool: ...

    @abstractmethod
    def __hash__(self) -> int: ...
