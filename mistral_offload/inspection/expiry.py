"""Expiry of blobs by the lifecycle rules of their bucket, which are read once per bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import StorageError
from mistral_offload.inspection.blob_locator import CandidateLocation
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule, rule_for


@dataclass(frozen=True, slots=True)
class Expiry:
    """The expiry of a key under a bucket's rules.

    Attributes:
        rule: the rule that removes the blob; None if no rule does, or if this is unknown.
        note: the reason why the expiry is unknown or uncertain.
    """

    rule: ExpiryRule | None
    note: str | None = None

    @property
    def days(self) -> int | None:
        """The age in days at which the blob is removed; None for never, or if unknown."""
        return None if self.rule is None else self.rule.days

    def days_left(self, modified: datetime, now: datetime) -> float | None:
        """Return the days until a blob is removed; below 0 it is overdue. None without a rule.

        Args:
            modified: the time of the blob's last write.
            now: the current time.
        """
        if self.rule is None:
            return None
        return (modified + timedelta(days=self.rule.days) - now) / timedelta(days=1)


class ExpiryReader:
    """Reads the rules of buckets and applies them to keys.

    Rules that cannot be read are not an error: the reason becomes the `Expiry.note`.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[str, str, str | None], asyncio.Future[list[ExpiryRule] | str]] = {}

    async def read(self, location: CandidateLocation) -> Expiry:
        """Return the expiry of a blob at a location."""
        rules = await self._rules(location.config)
        return Expiry(None, note=rules) if isinstance(rules, str) else _expiry(location.key, rules)

    async def _rules(self, config: BlobStorageConfig) -> list[ExpiryRule] | str:
        bucket = (config.storage_provider.value, config.container, config.endpoint_url)
        reading = self._read.get(bucket)
        if reading is None:
            reading = asyncio.ensure_future(asyncio.to_thread(_read, config))
            self._read[bucket] = reading
        return await asyncio.shield(reading)


def _read(config: BlobStorageConfig) -> list[ExpiryRule] | str:
    try:
        return open_lifecycle(config).read()
    except StorageError as error:
        return str(error)


def _expiry(key: str, rules: Sequence[ExpiryRule]) -> Expiry:
    rule = rule_for(key, rules)
    uncertain = [
        str(other)
        for other in rules
        if other.enabled and other.is_conditional and key.startswith(other.prefix)
        if rule is None or other.days < rule.days
    ]
    maybe = "may be removed by" if rule is None else "may be removed earlier, by"
    note = f"{maybe} {', '.join(uncertain)}" if uncertain else None
    return Expiry(rule, note)
