"""Transfers fields to the store and back.

The transfers of one call run concurrently. Each is one hop to the store's threads, which also does
the hashing. Everything else runs in threads for computing, and so never waits for the store.
Selection and serialization are in other modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from pydantic_core import to_json

from mistral_offload._config_arguments import require_config
from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload._gather import gather_or_cancel
from mistral_offload._synchronization import for_each
from mistral_offload.config import FieldOffloadingConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    KeyTooLongError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadSerializationError,
)
from mistral_offload.fields.content import Content, FieldContent
from mistral_offload.fields.field import OffloadableField
from mistral_offload.fields.field_level import FieldLevel, Found
from mistral_offload.fields.selection import Candidate, select_fields
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.progress import observed_request
from mistral_offload.files.reference import root_of_run
from mistral_offload.files.transfers import bind_files, store_files_async
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.field_blob import NO_CIPHER, FieldCipher
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.traversal import find_instances, map_instances, replace_instances
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.lazy_cache import LazyCache
from mistral_offload.storage.protection import ALWAYS, protection
from mistral_offload.storage.store import BlobStore

_FIELD: type[OffloadableField[Any]] = OffloadableField

_MAX_NESTING = 16
"""Limit for fields inside of the values of other fields; references could form a cycle."""

_CONCURRENT_READS = 8
"""Blobs of one value that blocking code reads at a time."""

_NULL_BYTES = len(b"null")


class FieldBlobCodec(Protocol):
    """Converts between the content of a field and its blob; implemented by ``PayloadEncoder``."""

    def encode_field_blob(self, data: bytes, *, namespace: str, run_id: str) -> bytes:
        """Return the blob of a content; deterministic within one workflow run."""
        ...

    def decode_field_blob(self, blob: bytes) -> bytes:
        """Return the content of a blob, also of one stored without this codec."""
        ...

    @property
    def field_cipher(self) -> FieldCipher:
        """The encryption of files."""
        ...


@dataclass(frozen=True, slots=True)
class _Upload:
    """A field to offload: its position among the fields of the value, and its content."""

    position: int
    name: str
    content: Content


class FieldOffloader:
    """Offloads and restores the fields of values by one configuration; safe to share.

    Without a configuration values stay unchanged, and reading a reference raises
    `OffloadingNotConfiguredError`. Values that are passed in are never modified.

    Args:
        config: the store, and the size from which fields are offloaded.
        store: used instead of the configured store, for example a ``MemoryStore`` in tests.
        blob_codec: converts the content of a field before it is stored, for example encrypts it.
        files: the place for files; by default the store of fields.
    """

    def __init__(
        self,
        config: FieldOffloadingConfig | None = None,
        *,
        store: BlobStore | None = None,
        blob_codec: FieldBlobCodec | None = None,
        files: FileStore | None = None,
    ) -> None:
        self._config = config
        require_config(config, FieldOffloadingConfig, "config")
        self._blobs = None if config is None else LazyCache(config.storage_config, store)
        self._blob_codec = blob_codec
        self._files = files
        if files is None and self._blobs is not None and config is not None:
            cipher = NO_CIPHER if blob_codec is None else blob_codec.field_cipher
            self._files = FileStore(
                self._blobs, cipher, whole_file_bytes=config.whole_file_max_bytes
            )

    @property
    def files(self) -> FileStore | None:
        """The place for files, or None if there is none."""
        return self._files

    @property
    def description(self) -> str:
        """Text for a log: threshold and store, without secrets."""
        if self._config is None:
            return "off"
        storage = self._config.storage_config
        return f"from {self._config.min_size_bytes:,} bytes on, to {storage.description}"

    async def offload_async(self, value: Any, *, namespace: str, run_id: str) -> Any:
        """Return the value with as many fields offloaded as needed to get below the threshold.

        All of its files are stored.

        Args:
            value: anything; fields are found in models, dataclasses and collections.
            namespace: namespace of the workflow, part of the key.
            run_id: run id of the workflow, part of the key.

        Raises:
            PayloadSerializationError: the value, or that of a field, cannot be written as JSON.
            FileError: a local file cannot be read or stored.
            StorageError: a blob could not be written.
        """
        if self._files is not None:
            value = await store_files_async(value, self._files, root_of_run(namespace, run_id))
        if self._config is None:
            return value
        found = find_instances(value, _FIELD)
        if all(field.value is None for _, field in found):
            return value
        store = self._open().store

        uploads = await run_in_cpu_thread_async(lambda: self._plan(value, found))
        if not uploads:
            return value
        keys = await gather_or_cancel(
            [store.run_async(self._put, upload, namespace, run_id) for upload in uploads]
        )
        fields = [field for _, field in found]
        for upload, key in zip(uploads, keys, strict=True):
            fields[upload.position] = fields[upload.position].moved_to(key)
        return replace_instances(value, _FIELD, fields)

    async def restore_async(self, value: Any, *, lazy: bool = False) -> Any:
        """Return the value with its fields restored; a blob that several fields use is read once.

        Its files stay in the store, and can be read from there.

        Args:
            value: anything; fields are found in models, dataclasses and collections.
            lazy: leave the values in the store, to be fetched by ``load()`` of the fields.

        Raises:
            OffloadingNotConfiguredError: there is a reference, but no configuration.
            ReferenceRefusedError: a reference names a key it may not name.
            PayloadDecodeError: a stored value does not fit the field's type.
            StorageError: a blob was removed, is damaged or could not be read.
        """
        if lazy:
            value = self._bind(value)
            return map_instances(value, _FIELD, lambda _, field: self._with_loader(field))
        return await self._restore_async(value, _MAX_NESTING)

    def load_result(self, value: Any) -> Any:
        """Return a client's result with its fields restored, as `restore_async` does; blocking."""
        return self._restore(value, _MAX_NESTING)

    async def load_result_async(self, value: Any) -> Any:
        """Async form of `load_result`; runs in a thread, since a result has any size."""
        has_fields = await run_in_cpu_thread_async(lambda: bool(find_instances(value, _FIELD)))
        if has_fields and self._blobs is not None:
            return await self._open().store.run_async(self.load_result, value)
        return await run_in_cpu_thread_async(lambda: self.load_result(value))

    async def load_async(self, field: OffloadableField[Any]) -> Any:
        """Return the value of one field; raises the errors of `restore_async`."""
        with observed_request():
            restored: OffloadableField[Any] = await self.restore_async(field)
        return restored.get_value()

    # To the store

    def _plan(self, value: Any, found: Found) -> list[_Upload]:
        assert self._config is not None  # noqa: S101 - callers checked
        # The configured threshold applies only to values that can be delivered in place.
        floor = min(self._config.min_size_bytes, INLINE_LIMIT_BYTES + 1)
        contents: list[tuple[int, Content]] = []
        candidates: list[Candidate] = []
        emptied: list[OffloadableField[Any]] = []
        for position, (name, field) in enumerate(found):
            if field.value is None:
                emptied.append(field)
                continue
            emptied.append(field.without_value())
            content = _serialize(name, field)
            contents.append((position, content))
            has_platform_form = field.content.has_platform_form(field.value)
            candidates.append(Candidate(_inline_bytes(content, floor), has_platform_form))
        rest = len(dump_json(replace_instances(value, _FIELD, emptied))) - _NULL_BYTES * len(
            candidates
        )
        selected = select_fields(candidates, rest_bytes=rest, min_size_bytes=floor)
        return [
            _Upload(position, found[position][0], content)
            for position, content in (contents[number] for number in selected)
        ]

    def _put(self, upload: _Upload, namespace: str, run_id: str) -> str:
        blob = upload.content.data
        if self._blob_codec is not None:
            blob = self._blob_codec.encode_field_blob(blob, namespace=namespace, run_id=run_id)
        reference = FieldReference.of(
            blob,
            namespace=namespace,
            run_id=run_id,
            field=upload.name,
            form=upload.content.form,
            size=len(upload.content.data),
        )
        assert reference.digest is not None  # noqa: S101 - it was just made of one
        with protection(ALWAYS):  # the key names the run
            try:
                self._open().put(reference.key, blob, reference.digest)
            except KeyTooLongError as error:
                text = f"field {upload.name!r}: {error}"
                raise KeyTooLongError(text, size=error.size, limit=error.limit) from None
        return reference.key

    # From the store

    async def _restore_async(self, value: Any, depth: int) -> Any:
        level = self._find_level(value, depth)
        if not level.found:
            return level.value

        async def fetch(reference: FieldReference) -> None:
            blobs, fields = self._open(), level.fields_of(reference)
            blob = blobs.find_in_memory(reference.key, reference.digest)
            if blob is not None:
                read = partial(self._read, blob, reference, fields)
                level.take(reference, await run_in_cpu_thread_async(read))
            else:
                level.take(reference, await blobs.store.run_async(self._fetch, reference, fields))

        await gather_or_cancel([fetch(each) for each in level.references])
        return level.with_values(
            await gather_or_cancel([self._restore_async(each, depth - 1) for each in level.values])
        )

    def _restore(self, value: Any, depth: int) -> Any:
        level = self._find_level(value, depth)
        if not level.found:
            return level.value

        def fetch(reference: FieldReference) -> None:
            level.take(reference, self._fetch(reference, level.fields_of(reference)))

        for_each(level.references, fetch, limit=_CONCURRENT_READS)
        return level.with_values([self._restore(each, depth - 1) for each in level.values])

    def _find_level(self, value: Any, depth: int) -> FieldLevel:
        value = self._bind(value)
        found = find_instances(value, _FIELD)
        if found and depth == 0:
            raise PayloadDecodeError(
                f"fields are nested more than {_MAX_NESTING} deep in the values of other fields"
            )
        return FieldLevel(value, found, self._parse_reference)

    def _bind(self, value: Any) -> Any:
        return value if self._files is None else bind_files(value, self._files)

    def _parse_reference(self, key: str) -> FieldReference:
        reference = FieldReference.from_key(key)
        if self._config is None:
            raise OffloadingNotConfiguredError(
                f"an activity field was offloaded to key {key!r}, but no storage for fields is "
                "configured here: give the worker the ACTIVITY_ATTRIBUTES_OFFLOADING__"
                "STORAGE_CONFIG__… variables for the storage it was written to, or the client "
                "field_offloading=FieldOffloadingConfig(storage_config=…)"
            )
        return reference

    def _fetch(self, reference: FieldReference, fields: Found) -> list[Any]:
        """Read a blob once, and return the value of each field that references it."""
        blob = self._open().get(reference.key, reference.digest)
        return self._read(blob, reference, fields)

    def _read(self, blob: bytes, reference: FieldReference, fields: Found) -> list[Any]:
        data = blob if self._blob_codec is None else self._blob_codec.decode_field_blob(blob)
        if reference.size is not None and len(data) != reference.size:
            blobs = self._open()
            raise BlobCorruptedError(
                f"{len(data):,} bytes are stored, but the reference says {reference.size:,} bytes",
                provider=blobs.store.provider,
                container=blobs.store.container,
                key=reference.key,
            )
        return [_deserialize(name, field.content, data, reference.form) for name, field in fields]

    def _with_loader(self, field: OffloadableField[Any]) -> OffloadableField[Any]:
        return field.with_loader(self.load_async) if field.is_offloaded else field

    def _open(self) -> BlobCache:
        assert self._blobs is not None  # noqa: S101 - callers checked the configuration
        return self._blobs.open()


def _serialize(name: str, field: OffloadableField[Any]) -> Content:
    try:
        return field.content.write(field.value)
    except PayloadSerializationError as error:
        raise PayloadSerializationError(f"field {name!r}: {error}") from error


def _deserialize(name: str, content: FieldContent, data: bytes, form: ContentForm | None) -> Any:
    try:
        return content.read(data, form)
    except PayloadDecodeError as error:
        raise PayloadDecodeError(f"field {name!r}: {error}") from error


def _inline_bytes(content: Content, enough: int) -> int:
    """Return the size of a value in place; for bytes from ``enough`` on, a lower bound."""
    size = len(content.data)
    if content.form is ContentForm.JSON or size >= enough:
        return size
    try:
        return len(to_json(content.data))
    except ValueError:  # not UTF-8, so the field is offloaded anyway
        return size
