"""Survey of a bucket: the days after which its rules remove blobs of this platform."""

from __future__ import annotations

from dataclasses import dataclass

from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.bucket_locations import BucketLocation
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule, days_for


@dataclass(frozen=True, slots=True)
class Survey:
    """The lifetime of blobs in one bucket.

    Attributes:
        location: the bucket, and the prefixes of our keys.
        rules: all rules that remove blobs by age; None if they cannot be read.
        days: by prefix, the age in days at which blobs are removed, or None for never; includes
            prefixes below ours that have a rule of their own.
        note: the reason if the rules cannot be read.
    """

    location: BucketLocation
    rules: tuple[ExpiryRule, ...] | None
    days: dict[str, int | None]
    note: str | None = None


def survey(location: BucketLocation) -> Survey:
    """Read the rules of a bucket; blocks.

    Raises:
        StorageError: the rules could not be read; see the subclasses.
    """
    try:
        rules = tuple(open_lifecycle(location.config).read())
    except LifecycleUnsupportedError as error:
        return Survey(location, None, {}, str(error))
    below = [rule.prefix for rule in rules if rule.prefix.startswith(location.prefixes)]
    prefixes = dict.fromkeys((*location.prefixes, *below))
    return Survey(location, rules, {prefix: days_for(prefix, rules) for prefix in prefixes})
