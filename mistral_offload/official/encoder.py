"""The official SDK's payload encoder with this package's engine in it.

An `EngineEncoder` is an official encoder: it is made from one, shares its attributes, and is an
instance of its class. Only the two methods through which all payloads pass are replaced.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from mistral_offload.errors import ConfigurationError, MistralOffloadError
from mistral_offload.official.configuration import compression_of, encryption_of, offloading_of
from mistral_offload.official.failures import official_error
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption, parse_options
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.protection import protection
from mistral_offload.storage.store import BlobStore

logger = logging.getLogger("mistral_offload.official")

KNOWN_SECONDS = 300.0
"""Time for which a blob that was found or written is not written again.

The official codec does not know when a run began, from which on its blobs are protected. A blob
that was used so recently is not removed: clean-up waits for a day, expiry rules for at least that.
"""

METHODS = ("encode_payload_content", "decode_payload_content")
_ENGINE = "_mistral_offload_engine"
_STORE = "_mistral_offload_store"
_NAMESPACE = "_mistral_offload_namespace"


class _Engine:
    """The engine of one configuration.

    Attributes:
        source: the official objects it was made from.
        encoder: None if they cannot be used, so that the official encoder does the work.
    """

    def __init__(self, source: tuple[Any, ...], encoder: PayloadEncoder | None) -> None:
        self.source = source
        self.encoder = encoder

    def is_of(self, source: tuple[Any, ...]) -> bool:
        """Return True if the official objects are still the same ones."""
        return all(mine is other for mine, other in zip(self.source, source, strict=True))


class EngineEncoder:
    """Methods that replace those of the official ``PayloadEncoder``."""

    official_class: Any

    def __getattr__(self, name: str) -> Any:
        # Attributes that this class sets in the official object, and that it may not have yet.
        if name in (_ENGINE, _STORE, _NAMESPACE):
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def encode_payload_content(
        self,
        data: bytes | str,
        context: Any = None,
        *,
        allow_offloading: bool = True,
        force_offload: bool = False,
    ) -> tuple[bytes, list[Any]]:
        """Encode a payload; see the official method."""
        encoder = _encoder_of(self)
        if encoder is None:
            done: tuple[bytes, list[Any]] = await self.official_class.encode_payload_content(
                self,
                data,
                context,
                allow_offloading=allow_offloading,
                force_offload=force_offload,
            )
            return done
        offload = False if not allow_offloading else (True if force_offload else None)
        try:
            with protection(time.monotonic() - KNOWN_SECONDS):
                payload = await encoder.encode_async(
                    data.encode() if isinstance(data, str) else data,
                    None if context is None else _owner_of(context),
                    offload=offload,
                )
        except MistralOffloadError as error:
            raise official_error(error) from error
        return payload.data, [option_of(option) for option in payload.options]

    async def decode_payload_content(self, data: bytes, encoding_options: Sequence[Any]) -> bytes:
        """Decode a payload; see the official method."""
        encoder = _encoder_of(self)
        if encoder is None:
            official = self.official_class.decode_payload_content
            done: bytes = await official(self, data, encoding_options)
            return done
        find_namespace: Callable[[], str | None] | None = getattr(self, _NAMESPACE)
        namespace = None if find_namespace is None else find_namespace()
        try:
            options = parse_options(getattr(each, "value", each) for each in encoding_options)
            return await encoder.decode_async(EncodedPayload(data, options), namespace=namespace)
        except MistralOffloadError as error:
            raise official_error(error) from error


def with_engine(
    official: Any,
    *,
    find_namespace: Callable[[], str | None] | None = None,
    store: BlobStore | None = None,
) -> Any:
    """Return an encoder that shares everything with an official one, but uses this engine.

    Args:
        official: an official ``PayloadEncoder``.
        find_namespace: returns the namespace whose blobs may be read; without it, any may.
        store: used instead of the configured store.

    Raises:
        ConfigurationError: the official encoder has not the methods that are replaced.
    """
    if isinstance(official, EngineEncoder):
        return official
    for name in METHODS:
        if not callable(getattr(official, name, None)):
            raise ConfigurationError(f"the official encoder has no method {name}")
    kind = _engine_class(official.__class__)
    encoder: Any = object.__new__(kind)
    encoder.__dict__ = official.__dict__
    encoder.__dict__[_NAMESPACE] = find_namespace
    encoder.__dict__[_STORE] = store
    return encoder


@cache
def _engine_class(official_class: Any) -> Any:
    return type(
        "EngineEncoder", (EngineEncoder, official_class), {"official_class": official_class}
    )


def _source_of(encoder: Any) -> tuple[Any, ...]:
    return (
        encoder.offloading_config,
        encoder.encryption_config,
        # Old versions have no compression.
        encoder.__dict__.get("compression_config"),
    )


def _encoder_of(encoder: Any) -> PayloadEncoder | None:
    """Return the engine for the encoder's present configuration; None if it cannot be used."""
    source = _source_of(encoder)
    engine: _Engine | None = getattr(encoder, _ENGINE)
    if engine is None or not engine.is_of(source):
        try:
            built = _build(source, getattr(encoder, _STORE))
        except ConfigurationError as error:
            logger.warning(
                "mistral-offload cannot use this configuration, so the official SDK moves the "
                "payloads: %s",
                error,
            )
            built = None
        engine = _Engine(source, built)
        setattr(encoder, _ENGINE, engine)
    return engine.encoder


def _build(source: tuple[Any, ...], store: BlobStore | None) -> PayloadEncoder:
    offloading, encryption, compression = source
    return PayloadEncoder(
        offloading_of(offloading),
        encryption=encryption_of(encryption),
        compression=compression_of(compression),
        store=store,
    )


def _owner_of(context: Any) -> PayloadContext:
    return PayloadContext(context.namespace, context.execution_id)


def option_of(option: EncodingOption) -> Any:
    """Return an encoding option as the official SDK's class."""
    return _options()(option.value)


@cache
def _options() -> Any:
    return import_module("mistralai.extra.workflows.encoding.models").EncodedPayloadOptions
