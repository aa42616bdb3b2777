"""The stores named by a worker's settings, one entry for each use of a store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from mistral_offload.config import BlobStorageConfig
from mistral_offload.doctor.findings import Check, Verdict
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT

PAYLOAD_VARIABLES = "TEMPORAL_PAYLOAD_OFFLOADING"
FIELD_VARIABLES = "ACTIVITY_ATTRIBUTES_OFFLOADING"


@dataclass(frozen=True, slots=True)
class ConfiguredStore:
    """A store in one of its uses: for payloads or for activity fields.

    Attributes:
        id: ``payload_store`` or ``field_store``, with ``.read_also.<number>`` for stores to read.
        title: the same for people.
        config: configuration of the store alone, without ``read_also``.
        variables: common beginning of the names of its environment variables.
        root: first segment of its keys, after the prefix of the store.
        is_read_also: True if the store is only read.
    """

    id: str
    title: str
    config: BlobStorageConfig
    variables: str
    root: str
    is_read_also: bool

    def check(
        self,
        name: str,
        title: str,
        examine: Callable[[], Awaitable[Verdict]],
        *,
        needs: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
    ) -> Check:
        """Return a check of this store.

        Args:
            name: last part of the check's id.
            title: last part of the check's title.
            examine: runs the check.
            needs, after: as in `Check`; names without a dot are those of other checks of the store.
        """
        return Check(
            f"{self.id}.{name}",
            f"{self.title}: {title}",
            examine,
            needs=tuple(map(self._full_id, needs)),
            after=tuple(map(self._full_id, after)),
            variables=self.variables,
        )

    def _full_id(self, name: str) -> str:
        return name if "." in name else f"{self.id}.{name}"


def configured_stores(settings: WorkerSettings) -> list[ConfiguredStore]:
    """Return every store that the settings name, once for each use; payload stores come first."""
    payloads, fields = settings.payload_offloading, settings.field_offloading
    found: list[ConfiguredStore] = []
    if payloads is not None:
        found += _uses("payload", payloads.storage_config, PAYLOAD_VARIABLES, PAYLOAD_ROOT)
    if fields is not None:
        found += _uses("field", fields.storage_config, FIELD_VARIABLES, FIELD_ROOT)
    return found


def _uses(kind: str, config: BlobStorageConfig, group: str, root: str) -> Iterator[ConfiguredStore]:
    id, title, variables = f"{kind}_store", f"{kind} store", f"{group}__STORAGE_CONFIG"
    alone = config.model_copy(update={"read_also": ()})
    yield ConfiguredStore(id, title, alone, variables, root, is_read_also=False)
    for number, other in enumerate(config.read_also, start=1):
        yield ConfiguredStore(
            f"{id}.read_also.{number}",
            f"{title}, read also {number}",
            other,
            f"{variables}__READ_ALSO",
            root,
            is_read_also=True,
        )
