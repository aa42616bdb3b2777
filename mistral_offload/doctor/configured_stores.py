"""The stores that settings name, each with the use that is made of it."""

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
class Place:
    """One use of one store.

    Attributes:
        id: ``payload_store``, ``field_store``, or either with ``.read_also.<number>``.
        title: the same in words.
        config: of the store alone, without others to read.
        variables: what the names of its variables begin with.
        root: what its keys begin with, after the prefix of the store.
        is_read_also: whether it is there to be read only.
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
        words: str,
        examine: Callable[[], Awaitable[Verdict]],
        *,
        needs: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
    ) -> Check:
        """A check of this place; names without a dot are those of others of it."""
        return Check(
            f"{self.id}.{name}",
            f"{self.title}: {words}",
            examine,
            needs=tuple(map(self._full_id, needs)),
            after=tuple(map(self._full_id, after)),
            variables=self.variables,
        )

    def _full_id(self, name: str) -> str:
        return name if "." in name else f"{self.id}.{name}"


def places_of(settings: WorkerSettings) -> list[Place]:
    """Every use of every store that the settings name, the payloads' first."""
    payloads, fields = settings.payload_offloading, settings.field_offloading
    found: list[Place] = []
    if payloads is not None:
        found += _uses("payload", payloads.storage_config, PAYLOAD_VARIABLES, PAYLOAD_ROOT)
    if fields is not None:
        found += _uses("field", fields.storage_config, FIELD_VARIABLES, FIELD_ROOT)
    return found


def _uses(what: str, config: BlobStorageConfig, group: str, root: str) -> Iterator[Place]:
    id, title, variables = f"{what}_store", f"{what} store", f"{group}__STORAGE_CONFIG"
    alone = config.model_copy(update={"read_also": ()})
    yield Place(id, title, alone, variables, root, is_read_also=False)
    for number, other in enumerate(config.read_also, start=1):
        yield Place(
            f"{id}.read_also.{number}",
            f"{title}, read also {number}",
            other,
            f"{variables}__READ_ALSO",
            root,
            is_read_also=True,
        )
