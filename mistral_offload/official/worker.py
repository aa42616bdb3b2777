"""Puts this package's engine into the official worker of this process.

The official codec exists before plugins are imported, and plugins do not get it. So the engine is
put in place at the class: a descriptor there returns the encoder of any codec with the engine in
it. The seams are tried before they are used; if one is not as expected, everything is put back and
the official engine continues.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mistral_offload._version import __version__
from mistral_offload.errors import ConfigurationError
from mistral_offload.official.configuration import (
    SWITCH,
    compression_of,
    encryption_of,
    fields_of,
    find_unknown_variables,
    is_switched_on,
    offloading_of,
    require_packages,
)
from mistral_offload.official.encoder import EngineEncoder, with_engine
from mistral_offload.official.events import replace_encoding_async, wants_references
from mistral_offload.official.fields import describe_fields, replace_methods, restore_methods
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.factory import open_cache
from mistral_offload.storage.memory import MemoryStore

logger = logging.getLogger("mistral_offload.official")

_ATTRIBUTE = "payload_encoder"
_ENGINE = "_mistral_offload_payload_encoder"
_TRIAL_SECONDS = 30.0
_TRIAL_BYTES = 4096


def install() -> bool:
    """Put the engine into the official worker of this process; never raises.

    Logs one line: INFO with the versions if the engine is in place, WARNING with the reason if it
    is not, and the official engine continues.

    Returns:
        True if the engine is in place.
    """
    try:
        return _install()
    except Exception as error:
        logger.warning(
            "mistral-offload %s is installed, but the official SDK moves the payloads of this "
            "worker: %s",
            __version__,
            error if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}",
        )
        return False


class PayloadEncoderSeam:
    """Descriptor for the attribute ``payload_encoder`` of the official codec."""

    def __get__(self, codec: Any, owner: type[Any] | None = None) -> Any:
        """Return the codec's encoder with the engine in it."""
        if codec is None:
            return self
        attributes = codec.__dict__
        if _ATTRIBUTE not in attributes:
            raise AttributeError(f"{type(codec).__name__!r} object has no attribute {_ATTRIBUTE!r}")
        engine = attributes.get(_ENGINE)
        if engine is None:
            engine = with_engine(attributes[_ATTRIBUTE], find_namespace=_worker_namespace)
            attributes[_ENGINE] = engine
        return engine

    def __set__(self, codec: Any, encoder: Any) -> None:
        """Keep another encoder; the engine is put into it on the next use."""
        codec.__dict__[_ATTRIBUTE] = encoder
        codec.__dict__.pop(_ENGINE, None)


def _install() -> bool:
    if not is_switched_on():
        logger.info("mistral-offload %s is switched off by %s", __version__, SWITCH)
        return False
    unknown = find_unknown_variables()
    if unknown:
        logger.warning("mistral-offload does not know these variables: %s", ", ".join(unknown))
    codec_class = _codec_class()
    if isinstance(codec_class.__dict__.get(_ATTRIBUTE), PayloadEncoderSeam):
        return True
    engine, description = _open_worker()
    setattr(codec_class, _ATTRIBUTE, PayloadEncoderSeam())
    try:
        replace_methods()
        _run(_try_codec(codec_class))
    except BaseException:
        delattr(codec_class, _ATTRIBUTE)
        restore_methods()
        raise
    logger.info(
        "mistral-offload %s moves the payloads of this worker (mistralai-workflows %s, mistralai "
        "%s, temporalio %s): %s",
        __version__,
        *(_installed(name) for name in ("mistralai-workflows", "mistralai", "temporalio")),
        description,
    )
    _install_references(engine)
    return True


def _install_references(engine: PayloadEncoder) -> None:
    """Let events carry references if that is switched on; never raises.

    Logs a WARNING with the reason if they cannot, and the official worker posts values whole.
    """
    try:
        if not wants_references():
            return
        _run(replace_encoding_async(engine, _worker_namespace))
    except Exception as error:
        logger.warning(
            "mistral-offload %s: events of this worker carry values, not references: %s",
            __version__,
            error if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}",
        )
        return
    logger.info("mistral-offload %s: events of this worker carry references", __version__)


def _codec_class() -> Any:
    return import_module(
        "mistralai.workflows.core.temporal.payload_codec"
    ).MistralWorkflowsPayloadCodec


def _worker_namespace() -> str | None:
    """Return the namespace of this worker, the only one whose blobs it reads."""
    namespace = _worker_config().temporal.namespace
    return namespace if isinstance(namespace, str) and namespace else None


def _worker_config() -> Any:
    return import_module("mistralai.workflows.core.config.config").config


def _open_worker() -> tuple[PayloadEncoder, str]:
    """Open the stores of this worker's configuration.

    Returns:
        The engine of its payloads, and the configuration as text without secrets.

    Raises:
        ConfigurationError: the configuration cannot be used.
    """
    worker = _worker_config().worker
    offloading = offloading_of(worker.temporal_payload_offloading)
    fields_config = fields_of(worker.activity_attributes_offloading)
    for config in (offloading, fields_config):
        if config is not None:
            require_packages(config.storage_config)
            open_cache(config.storage_config)
    engine = PayloadEncoder(
        offloading,
        encryption=encryption_of(worker.temporal_payload_encryption),
        # Old versions have no compression.
        compression=compression_of(getattr(worker, "temporal_payload_compression", None)),
    )
    return engine, f"{engine.description}; activity fields: {describe_fields(fields_config)}"


async def _try_codec(codec_class: Any) -> None:
    """Send a payload through the official codec, into a store in memory and back.

    Raises:
        ConfigurationError: a seam is not as expected.
    """
    configs = import_module("mistralai.extra.workflows.encoding.config")
    models = import_module("mistralai.workflows.models")
    converter = import_module("temporalio.api.common.v1")
    storage = configs.BlobStorageConfig(bucket_name="trial")
    codec = codec_class(configs.PayloadOffloadingConfig(storage_config=storage), None)
    store = MemoryStore()
    namespace = _worker_namespace() or "trial"
    official = codec.__dict__[_ATTRIBUTE]
    codec.__dict__[_ENGINE] = with_engine(official, find_namespace=_worker_namespace, store=store)
    if not isinstance(codec.payload_encoder, EngineEncoder):
        raise ConfigurationError("the official codec does not use the attribute payload_encoder")
    official.offloading_config.min_size_bytes = _TRIAL_BYTES
    text = '"' + "x" * _TRIAL_BYTES + '"'
    context = models.WorkflowContext(namespace=namespace, execution_id="trial")
    value = models.PayloadWithContext(context=context, payload=text)
    payload = converter.Payload(
        metadata={"encoding": b"json/wf_v1"}, data=value.model_dump_json().encode()
    )
    (encoded,) = await codec.encode([payload])
    if encoded.metadata.get("encoding_options") != b"offloaded" or not store.requests:
        raise ConfigurationError("the official codec does not encode through its payload_encoder")
    (decoded,) = await codec.decode([encoded])
    if models.PayloadWithContext.model_validate_json(decoded.data).payload != text:
        raise ConfigurationError("the official codec does not decode through its payload_encoder")


def _run(trial: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end; the worker's own loop is running in this thread."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(asyncio.wait_for(trial, _TRIAL_SECONDS))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="mistral-offload-trial")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
