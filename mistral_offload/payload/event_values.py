"""Values in the events that a worker reports: in place if they are small, references if not.

In an event a value is ``{"type": "json", "value": …, "encoding_options": […]}``. Without options it
is plain JSON. With options it is the base64 of an encoded payload, as in an envelope: under
encryption small values are ``["encrypted"]``, and a large one is the reference to a blob,
``["offloaded"]``, ``["encrypted", "offloaded", "encrypted"]`` and so on. Clients undo the options
from last to first.
"""

from __future__ import annotations

import binascii
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload.payload.context import BlobContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.held_text import HeldText, size_of
from mistral_offload.payload.jsontext import dump_json, load_json

ValueType = Literal["json", "json_patch"]


@dataclass(frozen=True, slots=True)
class EventValue:
    """A value as an event carries it.

    Attributes:
        text: JSON text of the member ``value``.
        options: the transforms applied to it; if there are any, ``value`` is a base64 text, or a
            list of patches of which some are encrypted.
        type: ``json_patch`` for a list of changes to an earlier value.
    """

    text: bytes
    options: tuple[EncodingOption, ...] = ()
    type: ValueType = "json"

    @property
    def is_reference(self) -> bool:
        """True if the event carries a reference instead of the value."""
        return EncodingOption.OFFLOADED in self.options

    def to_json(self) -> bytes:
        """Return the JSON text of the whole object, for the body of a request."""
        names = json.dumps([option.value for option in self.options]) if self.options else "null"
        return b'{"type":"%b","value":%b,"encoding_options":%b}' % (
            self.type.encode(),
            self.text,
            names.encode(),
        )

    def to_object(self) -> dict[str, Any]:
        """Return the whole object; the text of a value in place is parsed."""
        names = [option.value for option in self.options] or None
        return {"type": self.type, "value": load_json(self.text), "encoding_options": names}


class EventValueEncoder:
    """Makes the values of events by one configuration; safe to share between threads and loops.

    A large value is stored once, at a key by its content, below the execution that it belongs to. A
    value that is a payload's bytes needs no blob of its own: see `refer`.

    Args:
        encoder: encrypts, compresses and stores as for payloads.
        min_size_bytes: size of the JSON text in bytes from which a value is stored. By default the
            size from which payloads in a history are stored. Without a store all values are in
            place.
    """

    def __init__(self, encoder: PayloadEncoder, *, min_size_bytes: int | None = None) -> None:
        self._encoder = encoder
        self._floor = encoder.history_floor_bytes if min_size_bytes is None else min_size_bytes
        self._lock = threading.Lock()
        self._stored_values = 0
        self._stored_bytes = 0

    @property
    def stored_values(self) -> int:
        """Number of values that were stored for events alone."""
        return self._stored_values

    @property
    def stored_bytes(self) -> int:
        """Bytes of their JSON texts, before compression.

        The store skips what it has already, so that less may have been written.
        """
        return self._stored_bytes

    def is_large(self, text: bytes | HeldText, context: BlobContext | None) -> bool:
        """Return True if a value with this JSON text is to be stored."""
        return self._floor is not None and context is not None and size_of(text) >= self._floor

    def encode(self, value: object, context: BlobContext | None) -> EventValue:
        """Make the value of an event from a Python value.

        Args:
            value: anything pydantic can write as JSON.
            context: the execution that the event belongs to; with None nothing is stored.

        Raises:
            PayloadSerializationError: the value cannot be written as JSON.
            PayloadEncryptionError: a marked field cannot be encrypted.
            KeyTooLongError: the value has to be stored, and its key is too long for the store.
            StorageError: the blob could not be written.
        """
        return self.encode_text(dump_json(value), context)

    async def encode_async(self, value: object, context: BlobContext | None) -> EventValue:
        """Async form of `encode`; all work runs in threads."""
        text = await run_in_cpu_thread_async(lambda: dump_json(value))
        return await self.encode_text_async(text, context)

    def encode_text(
        self, text: bytes | HeldText, context: BlobContext | None, *, kind: ValueType = "json"
    ) -> EventValue:
        """Make the value of an event from its JSON text; see `encode`."""
        large = self.is_large(text, context)
        payload = self._encoder.encode(
            text, context, offload=None if large else False, floor=self._floor
        )
        return self._finish(payload, text, kind)

    async def encode_text_async(
        self, text: bytes | HeldText, context: BlobContext | None, *, kind: ValueType = "json"
    ) -> EventValue:
        """Async form of `encode_text`; larger work runs in threads."""
        large = self.is_large(text, context)
        payload = await self._encoder.encode_async(
            text, context, offload=None if large else False, floor=self._floor
        )
        return self._finish(payload, text, kind)

    def encode_patches(
        self,
        patches: Sequence[Mapping[str, Any]],
        context: BlobContext | None,
        *,
        encrypted_paths: Collection[str] = (),
    ) -> EventValue:
        """Make the value of an event from JSON patches.

        Under partial encryption, patches with a marked path stay in place at any size, as readers
        of events expect them there.

        Args:
            patches: the patches, with ``path``, ``value`` and ``op``.
            context: as for `encode`.
            encrypted_paths: paths of the patches whose values partial encryption encrypts.

        Raises:
            Exception: as for `encode`.
        """
        sealed = self._encrypt_some(patches, encrypted_paths)
        return sealed or self.encode_text(dump_json(list(patches)), context, kind="json_patch")

    async def encode_patches_async(
        self,
        patches: Sequence[Mapping[str, Any]],
        context: BlobContext | None,
        *,
        encrypted_paths: Collection[str] = (),
    ) -> EventValue:
        """Async form of `encode_patches`."""
        sealed = self._encrypt_some(patches, encrypted_paths)
        if sealed is not None:
            return sealed
        text = await run_in_cpu_thread_async(lambda: dump_json(list(patches)))
        return await self.encode_text_async(text, context, kind="json_patch")

    def _encrypt_some(
        self, patches: Sequence[Mapping[str, Any]], paths: Collection[str]
    ) -> EventValue | None:
        sealed = self._encoder.encrypt_patches(patches, paths)
        if sealed is None:
            return None
        return EventValue(dump_json(sealed), (EncodingOption.ENCRYPTED_PARTIAL,), "json_patch")

    def _finish(
        self, payload: EncodedPayload, text: bytes | HeldText, kind: ValueType
    ) -> EventValue:
        if payload.is_offloaded:
            with self._lock:
                self._stored_values += 1
                self._stored_bytes += size_of(text)
        return _value_of(payload, kind)


def refer(payload: EncodedPayload) -> EventValue:
    """Return the value of an event that is a payload of ours; nothing is encoded or stored.

    The event carries the payload's own bytes and options, so a reference names the payload's own
    blob.

    Args:
        payload: an encoded payload of JSON text; readers of events parse what it decodes to.

    Raises:
        PayloadDecodeError: the payload has no options, and is not JSON.
    """
    if not payload.options:
        load_json(payload.data)  # other bytes would break the request that they are put into
    return _value_of(payload, "json")


def _value_of(payload: EncodedPayload, kind: ValueType) -> EventValue:
    if not payload.options:
        return EventValue(payload.data, (), kind)
    text = b'"%b"' % binascii.b2a_base64(payload.data, newline=False)
    return EventValue(text, payload.options, kind)
