"""Interface to the expiry rules of one bucket, the same for every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from mistral_offload.config import BlobStorageConfig
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS


class BucketLifecycle(ABC):
    """Reads, plans and writes the expiry rules of one bucket.

    The methods block. Each opens its own connection and closes it. Transient faults are retried
    within the ``retry_seconds`` of the configuration.

    Example::

        lifecycle = open_lifecycle(config)
        plan = lifecycle.plan(["prod/temporal-payload/"], days=45)
        print(plan.warnings)
        lifecycle.apply(plan)

    Attributes:
        provider: ``s3``, ``azure``, ``gcs`` or ``local``.
        config: the bucket, and how to reach it.
    """

    provider: ClassVar[str]

    def __init__(self, config: BlobStorageConfig) -> None:
        self.config = config

    @property
    def container(self) -> str:
        """The bucket, container or directory."""
        return self.config.container

    @abstractmethod
    def read(self) -> list[ExpiryRule]:
        """Return every rule of the bucket that removes blobs by age, including those of others.

        Raises:
            LifecycleUnsupportedError: the rules cannot be read with the store's credentials.
            StorageAccessDeniedError: the credentials lack a permission; the text names it.
            ContainerNotFoundError: the bucket does not exist.
            StorageUnavailableError: no response within the time.
        """

    @abstractmethod
    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """Plan the changes after which blobs under each prefix are removed at a certain age.

        Args:
            prefixes: prefixes of the physical keys (prefix of the store included).
            days: age in days at which blobs are to be removed.
            retention_days: days that closed executions stay readable; the plan warns if ``days`` is
                less.

        Raises:
            LifecycleUnsupportedError: the rules cannot be set with the store's credentials.
            StorageError: as for `read`.
        """

    @abstractmethod
    def apply(self, plan: Plan) -> None:
        """Write the planned rules; a plan without changes writes nothing.

        Raises:
            LifecycleChangedError: the rules changed after the plan was made, or the bucket does not
                show the written rules: another client writes too.
            LifecycleUnsupportedError: the rules cannot be set with the store's credentials.
            StorageError: as for `read`.
        """
