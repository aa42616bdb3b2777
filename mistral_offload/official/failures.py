"""Errors of this package as the official SDK's classes, so that existing handlers catch them."""

from __future__ import annotations

from importlib import import_module

from mistral_offload.errors import (
    BlobNotFoundError,
    EncryptionNotConfiguredError,
    MistralOffloadError,
    PayloadDecompressionError,
    PayloadDecryptionError,
    PayloadEncryptionError,
    ReferenceRefusedError,
)

_NAMES: tuple[tuple[type[MistralOffloadError], str], ...] = (
    (PayloadDecryptionError, "WorkflowPayloadEncryptionException"),
    (PayloadEncryptionError, "WorkflowPayloadEncryptionException"),
    (EncryptionNotConfiguredError, "WorkflowPayloadEncryptionException"),
    (PayloadDecompressionError, "WorkflowPayloadCompressionException"),
)
_OTHER = "WorkflowPayloadOffloadingException"
_NAMESPACE_HINT = "Inside the official SDK the setting is MISTRAL_OFFLOAD_ALLOW_OTHER_NAMESPACES"


def official_error(error: MistralOffloadError) -> Exception:
    """Return the official SDK's exception for an error of this package, with the same text."""
    text = str(error)
    if isinstance(error, BlobNotFoundError):
        storage = import_module("mistralai.extra.workflows.encoding.storage.blob_storage")
        return _exception(storage.BlobNotFoundError, text)
    if isinstance(error, ReferenceRefusedError) and "allow_other_namespaces" in text:
        text = f"{text}. {_NAMESPACE_HINT}."
    exceptions = import_module("mistralai.extra.exceptions")
    name = next((name for kind, name in _NAMES if isinstance(error, kind)), _OTHER)
    # Old versions without compression have no class for it.
    return _exception(getattr(exceptions, name, getattr(exceptions, _OTHER)), text)


def fields_error(error: MistralOffloadError) -> Exception:
    """Return the official SDK's exception for an activity field, with the error's text."""
    fields = import_module("mistralai.workflows.core.encoding.fields_offloader")
    return _exception(fields.FieldsOffloaderException, str(error))


def _exception(kind: type[Exception], text: str) -> Exception:
    return kind(text)
