"""Moves fields to the store and back.

What is chosen and how it is written is decided elsewhere; here are the transfers: those of one call
at the same time, each in one hop to the store's threads together with its JSON and its hashing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import to_json

from mistral_offload._gather import gather_or_cancel
from mistral_offload.config import FieldOffloadingConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadSerializationError,
)
from mistral_offload.fields.content import Content, FieldContent
from mistral_offload.fields.field import OffloadableField
from mistral_offload.fields.selection import Candidate, choose
from mistral_offload.fields.traversal import find_fields, map_fields, put_fields
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.lazy_cache import LazyCache
from mistral_offload.storage.store import BlobStore

Found = list[tuple[str, OffloadableField[Any]]]

_DEEPEST = 16
"""How deep a field may lie in the values of others; references could lead round in circles."""

_NULL_BYTES = len(b"null")


class FieldSealing(Protocol):
    """The step between the content of a field and its blob; a ``PayloadEncoder`` is one."""

    def encode_field_blob(self, data: bytes, *, namespace: str, run_id: str) -> bytes:
        """The blob of a content; the same one whenever an activity of the run is repeated."""
        ...

    def decode_field_blob(self, blob: bytes) -> bytes:
        """The content of a blob, also of one that was stored without this step."""
        ...


@dataclass(frozen=True, slots=True)
class _Move:
    """A field that moves: where it is among those found, and what is stored for it."""

    place: int
    name: str
    content: Content


class FieldOffloader:
    """Offloads and restores the fields of values by one configuration; safe to share.

    Without a configuration values pass unchanged, and references that have to be read raise
    `OffloadingNotConfiguredError`. What is handed in is never changed.

    Args:
        config: where blobs go, and from which size.
        store: instead of the store that the configuration names, for instance a ``MemoryStore``.
        sealing: what is done to the content of a field before it is stored; nothing if not given.
    """

    def __init__(
        self,
        config: FieldOffloadingConfig | None = None,
        *,
        store: BlobStore | None = None,
        sealing: FieldSealing | None = None,
    ) -> None:
        self._config = config
        self._blobs = None if config is None else LazyCache(config.storage_config, store)
        self._sealing = sealing

    @property
    def description(self) -> str:
        """What is done with fields, for logs: never a secret."""
        if self._config is None:
            return "off"
        storage = self._config.storage_config
        return f"from {self._config.min_size_bytes:,} bytes on, to {storage.description}"

    async def offload_async(self, value: Any, *, namespace: str, run_id: str) -> Any:
        """The value with as many of its fields in the store as it takes.

        Args:
            value: anything; fields are found in models, dataclasses, lists, tuples, dictionaries.
            namespace: of the workflow.
            run_id: of the workflow; both name the blob.

        Raises:
            PayloadSerializationError: the value, or that of a field, has no JSON form.
            StorageError: a blob could not be written.
        """
        if self._config is None:
            return value
        found = find_fields(value)
        if all(field.value is None for _, field in found):
            return value
        store = self._open().store

        def begin() -> tuple[list[_Move], list[str]]:
            moves = self._plan(value, found)
            # A single one needs no thread of its own.
            return moves, [put(move) for move in moves if len(moves) == 1]

        def put(move: _Move) -> str:
            return self._put(move, namespace, run_id)

        moves, keys = await store.run_async(begin)
        if not moves:
            return value
        keys = keys or await gather_or_cancel([store.run_async(put, move) for move in moves])
        fields = [field for _, field in found]
        for move, key in zip(moves, keys, strict=True):
            fields[move.place] = fields[move.place].moved_to(key)
        return put_fields(value, fields)

    async def restore_async(self, value: Any, *, lazy: bool = False) -> Any:
        """The value with its fields' values in place; a blob that several name is read once.

        Args:
            value: anything; fields are found in models, dataclasses, lists, tuples, dictionaries.
            lazy: leave the values in the store, and let the fields' ``load()`` fetch them.

        Raises:
            OffloadingNotConfiguredError: there is a reference, but no configuration.
            ReferenceRefusedError: a reference names a key it may not name.
            PayloadDecodeError: what is stored is not of the field's type.
            StorageError: a blob is gone, damaged or could not be read.
        """
        if lazy:
            return map_fields(value, lambda _, field: self._lazy(field))
        return await self._restore(value, _DEEPEST)

    async def load_async(self, field: OffloadableField[Any]) -> Any:
        """The value of one field; raises as `restore_async` does."""
        restored: OffloadableField[Any] = await self.restore_async(field)
        return restored.get_value()

    # To the store

    def _plan(self, value: Any, found: Found) -> list[_Move]:
        assert self._config is not None  # noqa: S101 - callers checked
        # The user's floor holds only as long as the value could be delivered in place.
        floor = min(self._config.min_size_bytes, INLINE_LIMIT_BYTES + 1)
        contents: list[tuple[int, Content]] = []
        candidates: list[Candidate] = []
        emptied: list[OffloadableField[Any]] = []
        for place, (name, field) in enumerate(found):
            if field.value is None:
                emptied.append(field)
                continue
            emptied.append(field.without_value())
            content = _written(name, field)
            contents.append((place, content))
            plain = field.content.is_plain(field.value)
            candidates.append(Candidate(_inline_bytes(content, floor), plain))
        rest = len(dump_json(put_fields(value, emptied))) - _NULL_BYTES * len(candidates)
        chosen = choose(candidates, rest_bytes=rest, min_size_bytes=floor)
        return [
            _Move(place, found[place][0], content)
            for place, content in (contents[number] for number in chosen)
        ]

    def _put(self, move: _Move, namespace: str, run_id: str) -> str:
        blob = move.content.data
        if self._sealing is not None:
            blob = self._sealing.encode_field_blob(blob, namespace=namespace, run_id=run_id)
        reference = FieldReference.of(
            blob,
            namespace=namespace,
            run_id=run_id,
            field=move.name,
            form=move.content.form,
            size=len(move.content.data),
        )
        assert reference.digest is not None  # noqa: S101 - it was just made of one
        self._open().put(reference.key, blob, reference.digest)
        return reference.key

    # From the store

    async def _restore(self, value: Any, depth: int) -> Any:
        found = find_fields(value)
        if not found:
            return value
        if depth == 0:
            raise PayloadDecodeError(
                f"fields lie more than {_DEEPEST} deep in the values of others"
            )
        places: dict[str, list[int]] = {}
        for place, (_, field) in enumerate(found):
            if field.blob_ref is not None:
                places.setdefault(field.blob_ref, []).append(place)
        references = [self._readable(key) for key in places]
        store = self._open().store if references else None

        async def fetch(reference: FieldReference) -> list[Any]:
            assert store is not None  # noqa: S101 - there is a reference
            named = [found[place] for place in places[reference.key]]
            return await store.run_async(self._fetch, reference, named)

        values = {place: field.value for place, (_, field) in enumerate(found)}
        for reference, read in zip(
            references, await gather_or_cancel([fetch(each) for each in references]), strict=True
        ):
            values.update(zip(places[reference.key], read, strict=True))
        inner = await gather_or_cancel(
            [self._restore(values[n], depth - 1) for n in range(len(found))]
        )
        return put_fields(
            value,
            [
                field if restored is field.value else field.restored_with(restored)
                for (_, field), restored in zip(found, inner, strict=True)
            ],
        )

    def _readable(self, key: str) -> FieldReference:
        reference = FieldReference.from_key(key)
        if self._config is None:
            raise OffloadingNotConfiguredError(
                f"an activity field was offloaded to key {key!r}, but no storage for fields is "
                "configured here: give the worker the ACTIVITY_ATTRIBUTES_OFFLOADING__"
                "STORAGE_CONFIG__… variables for the storage it was written to"
            )
        return reference

    def _fetch(self, reference: FieldReference, named: Found) -> list[Any]:
        """Read a blob once, for every field that names it."""
        blobs = self._open()
        data = blobs.get(reference.key, reference.digest)
        if self._sealing is not None:
            data = self._sealing.decode_field_blob(data)
        if reference.size is not None and len(data) != reference.size:
            raise BlobCorruptedError(
                f"{len(data):,} bytes are stored, and not as many as the reference says",
                provider=blobs.store.provider,
                container=blobs.store.container,
                key=reference.key,
            )
        return [_read(name, field.content, data, reference.form) for name, field in named]

    def _lazy(self, field: OffloadableField[Any]) -> OffloadableField[Any]:
        return field.with_loader(self.load_async) if field.is_offloaded else field

    def _open(self) -> BlobCache:
        assert self._blobs is not None  # noqa: S101 - callers checked the configuration
        return self._blobs.open()


def _written(name: str, field: OffloadableField[Any]) -> Content:
    try:
        return field.content.write(field.value)
    except PayloadSerializationError as error:
        raise PayloadSerializationError(f"field {name!r}: {error}") from error


def _read(name: str, content: FieldContent, data: bytes, form: ContentForm | None) -> Any:
    try:
        return content.read(data, form)
    except PayloadDecodeError as error:
        raise PayloadDecodeError(f"field {name!r}: {error}") from error


def _inline_bytes(content: Content, enough: int) -> int:
    """What a value takes in place; for bytes exact only as far as it matters."""
    size = len(content.data)
    if content.form is ContentForm.JSON or size >= enough:
        return size
    try:
        return len(to_json(content.data))
    except ValueError:  # they are not text, and will move
        return size
