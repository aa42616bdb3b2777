"""Activity fields of the official worker through this package's store.

Two methods of the official ``FieldsOffloader`` are replaced. The field's name, its wire form and
its content are the official ones; keys name the content's digest, so that an activity that runs
twice writes one blob, and a read is verified. Official workers read the key that they are given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, get_args

from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload._gather import gather_or_cancel
from mistral_offload.config import FieldOffloadingConfig
from mistral_offload.errors import BlobCorruptedError, ConfigurationError, MistralOffloadError
from mistral_offload.official.configuration import fields_of
from mistral_offload.official.failures import fields_error
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.factory import open_cache
from mistral_offload.storage.protection import ALWAYS, protection

logger = logging.getLogger("mistral_offload.official")

METHODS = ("offload_if_needed", "restore_if_needed")
_refused: set[str] = set()


class FieldsEngine:
    """Methods that replace those of the official ``FieldsOffloader``; see `replace_methods`."""

    offloading_config: Any

    async def offload_if_needed(self, obj: Any, namespace: str, run_id: str) -> Any:
        """Return a result with its fields in the store, if it is large; see the official method."""
        if self.offloading_config is None or not isinstance(obj, _official().OffloadableModel):
            return obj
        blobs = _open(self.offloading_config)
        if blobs is None:
            return await _originals["offload_if_needed"](self, obj, namespace, run_id)
        fields = {name: field for name, field in _fields_of(obj) if field.value is not None}
        least = self.offloading_config.min_size_bytes
        if not fields or await run_in_cpu_thread_async(lambda: _size_of(obj, least)) < least:
            return obj

        def put(name: str, field: Any) -> str:
            data: bytes = field.serialized_value()
            form = ContentForm.BYTES if isinstance(field.value, bytes) else ContentForm.JSON
            reference = FieldReference.of(
                data, namespace=namespace, run_id=run_id, field=name, form=form, size=len(data)
            )
            assert reference.digest is not None  # noqa: S101 - it was just made of one
            with protection(ALWAYS):  # the key names the run
                blobs.put(reference.key, data, reference.digest)
            return reference.key

        try:
            keys = await gather_or_cancel(
                [blobs.store.run_async(put, name, field) for name, field in fields.items()]
            )
        except MistralOffloadError as error:
            raise fields_error(error) from error
        field_class = _official().OffloadableField[Any]
        moved = {
            name: field_class(value=None, blob_ref=key)
            for name, key in zip(fields, keys, strict=True)
        }
        return obj.model_copy(update=moved)

    async def restore_if_needed(self, obj: Any) -> Any:
        """Return an argument with its fields from the store; see the official method."""
        if not isinstance(obj, _official().OffloadableModel):
            return obj
        fields = {name: field for name, field in _fields_of(obj) if field.blob_ref is not None}
        config = self.offloading_config
        blobs = None if config is None or not config.storage_config else _open(config)
        if not fields or blobs is None:
            return await _originals["restore_if_needed"](self, obj)

        def get(name: str, field: Any) -> Any:
            reference = FieldReference.from_key(field.blob_ref)
            data = blobs.get(reference.key, reference.digest)
            if reference.size is not None and len(data) != reference.size:
                raise BlobCorruptedError(
                    f"{len(data):,} bytes are stored, but the reference says "
                    f"{reference.size:,} bytes",
                    provider=blobs.store.provider,
                    container=blobs.store.container,
                    key=reference.key,
                )
            content = _content_type(_annotations_of(obj)[name])
            return _official().OffloadableField.from_serialized(data, content)

        try:
            restored = await gather_or_cancel(
                [blobs.store.run_async(get, name, field) for name, field in fields.items()]
            )
        except MistralOffloadError as error:
            raise fields_error(error) from error
        return obj.model_copy(update=dict(zip(fields, restored, strict=True)))


_originals: dict[str, Callable[..., Any]] = {}


def replace_methods() -> None:
    """Put the methods of `FieldsEngine` into the official class.

    Raises:
        ConfigurationError: the official class has no such methods.
    """
    official = _official().FieldsOffloader
    for name in METHODS:
        if not callable(getattr(official, name, None)):
            raise ConfigurationError(f"the official FieldsOffloader has no method {name}")
    for name in METHODS:
        _originals.setdefault(name, getattr(official, name))
        setattr(official, name, getattr(FieldsEngine, name))


def restore_methods() -> None:
    """Put the official methods back."""
    for name, method in _originals.items():
        setattr(_official().FieldsOffloader, name, method)


def describe_fields(config: FieldOffloadingConfig | None) -> str:
    """Return text for a log: threshold and store, without secrets."""
    if config is None:
        return "off"
    return f"from {config.min_size_bytes:,} bytes on, to {config.storage_config.description}"


def _official() -> Any:
    return import_module("mistralai.workflows.core.encoding.fields_offloader")


def _open(config: Any) -> BlobCache | None:
    """Open the store of an official configuration; None if it cannot be used."""
    try:
        fields = fields_of(config)
        return None if fields is None else open_cache(fields.storage_config)
    except ConfigurationError as error:
        if str(error) not in _refused:
            _refused.add(str(error))
            logger.warning(
                "mistral-offload cannot use this configuration of activity fields, so the official "
                "SDK moves them: %s",
                error,
            )
        return None


def _fields_of(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the offloadable fields of a model; like the official SDK, not of nested ones."""
    kind = _official().OffloadableField
    for name in _annotations_of(obj):
        field = getattr(obj, name)
        if isinstance(field, kind):
            yield name, field


def _annotations_of(obj: Any) -> dict[str, Any]:
    """Return the annotation of each field of a model."""
    fields: dict[str, Any] = obj.__class__.model_fields
    return {name: field.annotation for name, field in fields.items()}


def _size_of(obj: Any, least: int) -> int:
    try:
        return len(obj.model_dump_json())
    except ValueError:  # bytes that are not UTF-8, which only a store can take
        return least


def _content_type(annotation: Any) -> Any:
    """Return the type of a field's content; bytes if the annotation has none."""
    generic = getattr(annotation, "__pydantic_generic_metadata__", None)
    if generic is not None:
        return next(iter(generic["args"]), bytes)
    for part in get_args(annotation):
        if getattr(part, "__pydantic_generic_metadata__", None) is not None:
            return _content_type(part)
    return bytes
