"""Events of the official worker, with references in place of large values.

The official worker posts each value whole, input and result of a workflow twice. With references it
posts some hundred bytes for any value. A value is stored once, by its content, below the execution
that it belongs to; if it is a payload as well, that is the payload's own blob. Clients resolve the
references if their storage is configured.

All events pass a function of the module ``event_context``, which encrypts them. That function is
replaced. If an event cannot be given references, it is posted as the official worker does.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
import os
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, cast

from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import ConfigurationError, MistralOffloadError
from mistral_offload.official.configuration import EVENTS
from mistral_offload.official.encoder import KNOWN_SECONDS, option_of
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.event_values import EventValue, EventValueEncoder
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.storage.protection import protection

logger = logging.getLogger("mistral_offload.official")

_SEAM = "maybe_encode_event"
_STORE_SECONDS = 5.0
"""Time limit for the blobs of one event.

A report of the workflow itself is a local activity of 10 s at most, which makes the workflow fail.
"""
_WARNING_SECONDS = 60.0
_TRIAL_BYTES = 4096

_Encode = Callable[[Any, Any], Awaitable[Any]]


def wants_references() -> bool:
    """Return True if ``MISTRAL_OFFLOAD_EVENTS`` says that events carry references.

    Raises:
        ConfigurationError: the variable has another value than ``full`` and ``reference``.
    """
    text = os.environ.get(EVENTS, "").strip().lower()
    if text not in ("", "full", "reference"):
        raise ConfigurationError(
            f"{EVENTS} must be full or reference inside the official worker, not {text!r}"
        )
    return text == "reference"


class EventReferences:
    """Takes the place of the official function that encodes an event.

    Args:
        official: the official function.
        values: encodes and stores the values.
        find_namespace: returns the worker's namespace.
    """

    def __init__(
        self, official: _Encode, values: EventValueEncoder, find_namespace: Callable[[], str | None]
    ) -> None:
        self.official = official
        self.values = values
        self._find_namespace = find_namespace
        self._warned_at: float | None = None

    async def __call__(self, event: Any, encoder: Any) -> Any:
        """Return an event with references; if it has no large value, what the official one does.

        Args:
            event: an official event.
            encoder: the official encoder of events; None without encryption.
        """
        try:
            encoded = await asyncio.wait_for(self._encode_async(event), _STORE_SECONDS)
        except Exception as error:
            self._warn(event, error)
            encoded = None
        return await self.official(event, encoder) if encoded is None else encoded

    async def _encode_async(self, event: Any) -> Any | None:
        """Return the event with all its values encoded; None if none of them is large."""
        payloads = _payloads_of(event)
        namespace = self._find_namespace()
        if not payloads or namespace is None:
            return None
        owner = PayloadContext(namespace, event.workflow_exec_id)
        texts = await run_in_cpu_thread_async(
            lambda: {name: dump_json(_plain(payload)) for name, payload in payloads.items()}
        )
        if not any(self.values.is_large(text, owner) for text in texts.values()):
            return None
        encoded: dict[str, Any] = {}
        with protection(time.monotonic() - KNOWN_SECONDS):
            for name, payload in payloads.items():
                value = await self._value_async(payload, texts[name], owner)
                encoded[name] = _with_value(payload, value)
        attributes = event.attributes.model_copy(update=encoded)
        return event.model_copy(update={"attributes": attributes})

    async def _value_async(self, payload: Any, text: bytes, owner: PayloadContext) -> EventValue:
        if payload.type == "json":
            return await self.values.encode_text_async(text, owner)
        return await self.values.encode_patches_async(
            _plain(payload), owner, encrypted_paths=payload._encrypted_paths
        )

    def _warn(self, event: Any, error: Exception) -> None:
        now = time.monotonic()
        if self._warned_at is not None and now - self._warned_at < _WARNING_SECONDS:
            return
        self._warned_at = now
        reason = (
            f"its values could not be stored within {_STORE_SECONDS:g} s"
            if isinstance(error, asyncio.TimeoutError)
            else str(error)
            if isinstance(error, MistralOffloadError)
            else type(error).__name__
        )
        logger.warning(
            "mistral-offload: an event of execution %r is posted with its values, not with "
            "references: %s (further ones are not logged for %d s)",
            getattr(event, "workflow_exec_id", None),
            reason,
            _WARNING_SECONDS,
        )


async def replace_encoding_async(
    engine: PayloadEncoder, find_namespace: Callable[[], str | None]
) -> None:
    """Let the events of this process carry references, after a trial.

    Args:
        engine: the worker's engine.
        find_namespace: returns the worker's namespace.

    Raises:
        ConfigurationError: no storage is configured, or a seam is not as expected; nothing is
            changed.
    """
    if not engine.offloads:
        raise ConfigurationError(f"{EVENTS}=reference needs a store for payloads")
    module = _module()
    found: Any = getattr(module, _SEAM, None)
    if isinstance(found, EventReferences):
        return
    if not callable(found):
        raise ConfigurationError(f"the official module event_context has no function {_SEAM}")
    official = cast("_Encode", found)
    try:
        await _try_async(module, official)
    except BaseException:
        setattr(module, _SEAM, official)
        raise
    setattr(module, _SEAM, EventReferences(official, EventValueEncoder(engine), find_namespace))


def restore_encoding() -> None:
    """Put the official function back."""
    module = _module()
    replaced = getattr(module, _SEAM, None)
    if isinstance(replaced, EventReferences):
        setattr(module, _SEAM, replaced.official)


class _Recorder:
    """Takes the place of the client that posts events."""

    def __init__(self) -> None:
        self.posted: list[Any] = []

    async def send_event_async(self, *, event: Any) -> None:
        self.posted.append(event)

    async def send_events_batch_async(self, *, events: list[Any]) -> None:
        self.posted += events


async def _try_async(module: Any, official: _Encode) -> None:
    """Post events through the official code, with a store in memory.

    Raises:
        ConfigurationError: what was posted is no reference to the value.
    """
    models = import_module("mistralai.workflows.protocol.v1.events")
    config = BlobStorageConfig(bucket_name="trial")
    offloading = PayloadOffloadingConfig(storage_config=config, min_size_bytes=_TRIAL_BYTES)
    engine = PayloadEncoder(offloading, store=MemoryStore())
    setattr(module, _SEAM, EventReferences(official, EventValueEncoder(engine), lambda: "trial"))
    recorder = _Recorder()
    context = module.EventContext(recorder)
    context._token = recorder  # as if it were entered, without becoming that of the worker
    value = {"text": "x" * _TRIAL_BYTES}
    event = models.CustomTaskCompleted(
        event_id="trial",
        root_workflow_exec_id="trial",
        parent_workflow_exec_id=None,
        workflow_exec_id="trial",
        workflow_run_id="trial",
        workflow_name="trial",
        attributes=models.CustomTaskCompletedAttributes(
            custom_task_id="trial",
            custom_task_type="trial",
            payload=models.JSONPayload(value=value),
        ),
    )
    await context.publish_event(event)
    background = module.BackgroundEventPublisher(context)
    background.publish_event_background(event)
    await background.drain()
    await background.shutdown()
    posted = [each["attributes"]["payload"] for each in recorder.posted]
    if [each["encoding_options"] for each in posted] != [["offloaded"]] * 2:
        raise ConfigurationError(f"the official worker does not post what {_SEAM} returns")
    for each in posted:
        reference = EncodedPayload(binascii.a2b_base64(each["value"]), (EncodingOption.OFFLOADED,))
        if engine.decode_value(reference) != value:
            raise ConfigurationError("the official worker posts another reference")


def _module() -> Any:
    return import_module("mistralai.workflows.core._events.event_context")


def _payloads_of(event: Any) -> dict[str, Any]:
    """Return the attributes of an event that are values, and not encoded yet."""
    models = import_module("mistralai.workflows.protocol.v1.events")
    kinds = (models.JSONPayload, models.JSONPatchPayload)
    attributes: Any = event.attributes
    names: dict[str, Any] = attributes.__class__.model_fields
    found = {name: getattr(attributes, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, kinds) and not value.encoding_options
    }


def _plain(payload: Any) -> Any:
    """Return the value of a payload; patches as dicts."""
    value: Any = payload.value
    if payload.type == "json" or isinstance(value, str):
        return value
    return [patch.model_dump(mode="json") for patch in value]


def _with_value(payload: Any, value: EventValue) -> Any:
    """Return a copy of an official payload with an encoded value."""
    if not value.options:
        return payload
    encoded = value.to_object()["value"]
    options = [option_of(option) for option in value.options]
    return payload.model_copy(update={"value": encoded, "encoding_options": options})
