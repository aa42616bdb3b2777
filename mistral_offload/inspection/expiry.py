"""When a blob is removed, by the rules of its bucket; those are read once a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import StorageError
from mistral_offload.inspection.blob_locator import Place
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule, rule_for


@dataclass(frozen=True, slots=True)
class Expiry:
    """What a bucket's rules mean for a key.

    Attributes:
        rule: by which the blob is removed; None for never, or if it is not known.
        note: why it is not known, or not for sure.
    """

    rule: ExpiryRule | None
    note: str | None = None

    @property
    def days(self) -> int | None:
        """The age in days at which the blob is removed, if it is known that it is."""
        return None if self.rule is None else self.rule.days

    def days_left(self, modified: datetime, now: datetime) -> float | None:
        """How many days a blob that was written at a moment has left; below 0, it is overdue."""
        if self.rule is None:
            return None
        return (modified + timedelta(days=self.rule.days) - now) / timedelta(days=1)


class Expiries:
    """What the rules of buckets mean for keys. That they cannot be read is no error here."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str, str | None], asyncio.Future[list[ExpiryRule] | str]] = {}

    async def of(self, place: Place) -> Expiry:
        """When what lies at a place is removed."""
        rules = await self._rules(place.config)
        return Expiry(None, note=rules) if isinstance(rules, str) else _judge(place.key, rules)

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


def _judge(key: str, rules: Sequence[ExpiryRule]) -> Expiry:
    rule = rule_for(key, rules)
    doubtful = [
        str(other)
        for other in rules
        if other.enabled and other.is_conditional and key.startswith(other.prefix)
        if rule is None or other.days < rule.days
    ]
    perhaps = "perhaps by" if rule is None else "perhaps sooner, by"
    note = f"{perhaps} {', '.join(doubtful)}" if doubtful else None
    return Expiry(rule, note)
