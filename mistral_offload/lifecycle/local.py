"""Directories, which have no expiry rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.bucket import BucketLifecycle
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS


class LocalLifecycle(BucketLifecycle):
    """Expiry rules of a directory: there are none, and none can be set."""

    provider = "local"

    def read(self) -> list[ExpiryRule]:
        """Return no rules: nothing expires by itself."""
        return []

    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """Raise LifecycleUnsupportedError."""
        self._refuse()

    def apply(self, plan: Plan) -> None:
        """Raise LifecycleUnsupportedError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise LifecycleUnsupportedError(
            "a directory has no expiry rules, so nothing expires by itself: remove old files by "
            "hand or by a scheduled job",
            provider=self.provider,
            container=self.container,
            key=None,
        )
