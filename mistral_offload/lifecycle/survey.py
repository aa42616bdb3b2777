"""What the rules of a bucket mean for the blobs of this platform in it."""

from __future__ import annotations

from dataclasses import dataclass

from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.bucket_locations import Place
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule, days_for


@dataclass(frozen=True, slots=True)
class Survey:
    """How long blobs live in one bucket.

    Attributes:
        place: the bucket, and what in it is ours.
        rules: all that remove blobs by their age; None where the provider does not tell.
        days: by prefix, the age in days at which blobs are removed, or None for never; also by
            those prefixes below ours that have a rule of their own.
        note: why there are no rules, where the provider does not tell.
    """

    place: Place
    rules: tuple[ExpiryRule, ...] | None
    days: dict[str, int | None]
    note: str | None = None


def survey(place: Place) -> Survey:
    """Read the rules of a bucket; blocking.

    Raises:
        StorageError: they cannot be read; see the classes below it.
    """
    try:
        rules = tuple(open_lifecycle(place.config).read())
    except LifecycleUnsupportedError as error:
        return Survey(place, None, {}, str(error))
    below = [rule.prefix for rule in rules if rule.prefix.startswith(place.prefixes)]
    prefixes = dict.fromkeys((*place.prefixes, *below))
    return Survey(place, rules, {prefix: days_for(prefix, rules) for prefix in prefixes})
