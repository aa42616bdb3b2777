"""The expiry rules of one bucket, whoever keeps it: what can be asked of every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from mistral_offload.config import BlobStorageConfig
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS


class BucketLifecycle(ABC):
    """Blocking; every call connects anew and leaves nothing open.

    Transient faults are tried again within the ``retry_seconds`` of the configuration.

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
        """Every rule of the bucket that removes blobs by their age, whoever wrote it.

        Raises:
            LifecycleUnsupportedError: the provider does not tell.
            StorageAccessDeniedError: the credentials do not allow it; names what they need.
            ContainerNotFoundError: there is no such bucket.
            StorageUnavailableError: no answer within the time.
        """

    @abstractmethod
    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """What it takes for blobs under each prefix to be removed after so many days.

        Args:
            prefixes: what the keys begin with, prefix of the store included.
            days: the age in days at which blobs are to be removed.
            retention_days: how long ended executions can be read; fewer days are warned about.

        Raises:
            LifecycleUnsupportedError: the provider has no rules that can be set from here.
            StorageError: as for `read`.
        """

    @abstractmethod
    def apply(self, plan: Plan) -> None:
        """Write what was planned; without a change, nothing is written.

        Raises:
            LifecycleChangedError: the rules are not those the plan was made with, or not those
                that were written: somebody else writes, too.
            LifecycleUnsupportedError: the provider has no rules that can be set from here.
            StorageError: as for `read`.
        """
