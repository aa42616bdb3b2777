"""The place for files that a configuration names."""

from __future__ import annotations

from mistral_offload.config import FieldOffloadingConfig, PayloadOffloadingConfig
from mistral_offload.files.file_store import FileStore
from mistral_offload.limits import DEFAULT_WHOLE_FILE_MAX_BYTES
from mistral_offload.payload.field_blob import FieldCipher
from mistral_offload.storage.lazy_cache import LazyCache


def configured_files(
    fields: FieldOffloadingConfig | None,
    payloads: PayloadOffloadingConfig | None,
    cipher: FieldCipher,
) -> FileStore | None:
    """Return the place for files: the store of activity fields, or else that of payloads.

    A client may have stored a file with its payloads, so that store is read as well.

    Args:
        fields: configuration of activity fields.
        payloads: configuration of payloads.
        cipher: encrypts files, if it is configured to.

    Returns:
        None if no store is configured.
    """
    caches = [LazyCache(each.storage_config) for each in (fields, payloads) if each is not None]
    if not caches:
        return None
    largest = DEFAULT_WHOLE_FILE_MAX_BYTES if fields is None else fields.whole_file_max_bytes
    read_also = caches[1] if len(caches) > 1 else None
    return FileStore(caches[0], cipher, whole_file_bytes=largest, read_also=read_also)
