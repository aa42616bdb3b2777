"""A bucket's complete lifecycle configuration, including rules we did not write. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod

from typing_extensions import Self

from mistral_offload.lifecycle.rules import ExpiryRule


class LifecycleDocument(ABC):
    """The rules of a bucket in its provider's format; immutable.

    Every write replaces the complete configuration. So rules of others, and members unknown to this
    package, are kept and written back as they were read. Two documents are equal if they have the
    same meaning.
    """

    @property
    @abstractmethod
    def rules(self) -> tuple[ExpiryRule, ...]:
        """Return the rules that remove blobs by age, in the provider's order."""

    @abstractmethod
    def with_expiry(self, prefix: str, days: int) -> Self:
        """Return a copy with our rule for a prefix, added or in place of the previous one."""

    @abstractmethod
    def __eq__(self, other: object) -> bool: ...

    @abstractmethod
    def __hash__(self) -> int: ...
