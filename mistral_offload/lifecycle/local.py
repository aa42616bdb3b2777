"""Directories, which remove nothing by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.bucket import BucketLifecycle
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS


class LocalLifecycle(BucketLifecycle):
    """A directory: there are no rules, and none can be set."""

    provider = "local"

    def read(self) -> list[ExpiryRule]:
        """No rules: nothing expires by itself."""
        return []

    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """Raises a LifecycleUnsupportedError."""
        self._refuse()

    def apply(self, plan: Plan) -> None:
        """Raises a LifecycleUnsupportedError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise LifecycleUnsupportedError(
            "in a directory nothing expires by itself, and there is no rule to set: files are "
            "removed by hand or by a job of the machine",
            provider=self.provider,
            container=self.container,
            key=None,
        )
