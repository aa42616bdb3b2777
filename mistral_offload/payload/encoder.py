"""Encodes and decodes payloads and values by one configuration, sync and async.

Encoding: encrypt marked fields → compress → [encrypt the blob →] offload → encrypt the remainder.
Every step is optional. The applied ones are recorded, and decoding undoes them from last to first,
independent of the configuration.

The ``_async`` forms keep JSON, zstd, AES, hashing and the transfer of a large value off the event
loop. A transfer, with its hashing, takes one hop to the store's threads; everything else runs in
threads for computing, and small work in place. So a store that does not respond delays only what it
has to deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from mistral_offload._config_arguments import require_config
from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload.config import (
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    KeyTooLongError,
    PayloadDecodeError,
    PayloadTooLargeError,
)
from mistral_offload.limits import (
    DEFAULT_DECOMPRESSED_LIMIT_BYTES,
    INLINE_LIMIT_BYTES,
    INLINE_WORK_BYTES,
    MAX_TRANSFORMS,
)
from mistral_offload.payload import compression as zstd
from mistral_offload.payload.context import BlobContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encryption import OVERHEAD_BYTES, Cipher
from mistral_offload.payload.field_blob import FieldCipher
from mistral_offload.payload.held_text import HeldText, bytes_of, size_of
from mistral_offload.payload.jsontext import dump_named_json, load_json_or_bytes
from mistral_offload.payload.offloading import Offloader, fetch_offloaded, find_offloaded
from mistral_offload.payload.partial_encryption import (
    NOT_CONFIGURED,
    decrypt_marked,
    decrypt_patches,
    encrypt_marked,
    encrypt_patches,
)
from mistral_offload.payload.reference import Reference
from mistral_offload.payload.schedule_hash import schedule_input_hash
from mistral_offload.storage.store import BlobStore

T = TypeVar("T")


class PayloadEncoder:
    """Encodes and decodes payloads by one configuration; safe to share between threads and loops.

    Steps that are not configured are skipped; without configuration, payloads stay unchanged.

    Example::

        encoder = PayloadEncoder(PayloadOffloadingConfig(storage_config=storage))
        payload = encoder.encode_value({"x": 1}, PayloadContext("namespace", "execution-id"))
        encoder.decode_value(payload)  # {"x": 1}

    Args:
        offloading: store for large payloads.
        encryption: keys and mode of encryption.
        compression: threshold and level of compression.
        store: used instead of the configured store, for example a ``MemoryStore`` in tests.
        largest_bytes: largest blob that is read, and largest size that a compressed payload may
            unpack to, for a reader that must not run out of memory; costs one more request a blob.

    Raises:
        MissingExtraError: a package that the configuration needs is not installed.
        ConfigurationError: an argument is not a configuration of its class.
    """

    def __init__(
        self,
        offloading: PayloadOffloadingConfig | None = None,
        *,
        encryption: PayloadEncryptionConfig | None = None,
        compression: PayloadCompressionConfig | None = None,
        store: BlobStore | None = None,
        largest_bytes: int | None = None,
    ) -> None:
        require_config(offloading, PayloadOffloadingConfig, "offloading")
        require_config(encryption, PayloadEncryptionConfig, "encryption")
        require_config(compression, PayloadCompressionConfig, "compression")
        self._description = _describe(offloading, encryption, compression)
        self._offloader = (
            None
            if offloading is None
            else Offloader(offloading, store, largest_bytes=largest_bytes)
        )
        unpacked = (
            DEFAULT_DECOMPRESSED_LIMIT_BYTES
            if compression is None
            else compression.max_decompressed_bytes
        )
        self._largest_unpacked = unpacked if largest_bytes is None else min(unpacked, largest_bytes)
        self._encryption = encryption
        self._cipher = None if encryption is None else Cipher(encryption)
        encrypts = encryption is not None and encryption.encrypt_fields
        self._field_cipher = FieldCipher(self._cipher, encrypts=encrypts)
        self._compression = compression
        if compression is not None:
            zstd.require_extra()

    @property
    def offloads(self) -> bool:
        """True if large payloads are offloaded."""
        return self._offloader is not None

    @property
    def history_floor_bytes(self) -> int | None:
        """Offloading threshold, in bytes, of payloads in a short history; None without a store."""
        return None if self._offloader is None else self._offloader.history_floor_bytes

    @property
    def encrypts_whole(self) -> bool:
        """True if whole payloads are encrypted, so that no part of them is readable."""
        return self._encryption is not None and self._encryption.is_full

    @property
    def encrypts_fields(self) -> bool:
        """True if only marked fields are encrypted, which are found in a payload's JSON."""
        return self._encryption is not None and not self._encryption.is_full

    @property
    def compresses(self) -> bool:
        """True if payloads are compressed."""
        return self._compression is not None

    @property
    def is_configured(self) -> bool:
        """True if any step is configured."""
        return self.offloads or self._encrypts_or_compresses

    @property
    def description(self) -> str:
        """Text for a log: the configured steps, without keys or credentials."""
        return self._description

    def changes(self, size: int, *, floor: int | None = None) -> bool:
        """Return False if `encode` is certain to return a payload as it is.

        Args:
            size: size of the payload in bytes.
            floor: as for `encode`.
        """
        return self._encrypts_or_compresses or self._offloader_for(size, None, floor) is not None

    def encode(
        self,
        data: bytes | HeldText,
        context: BlobContext | None,
        *,
        offload: bool | None = None,
        has_json: bool = True,
        floor: int | None = None,
        write: bool = True,
    ) -> EncodedPayload:
        """Encode payload bytes.

        Args:
            data: the payload, normally JSON text. The bytes of a held text that is only offloaded
                are made where it is stored, so that few of them exist at a time.
            context: the execution or namespace the payload belongs to; with None nothing is
                offloaded.
            offload: True for any size, False for never, None to decide by size.
            has_json: True if the data may be JSON with marked fields.
            floor: offloading threshold in bytes; used if it is lower than the configured one.
            write: False to return a reference without storing the blob, if it is stored already.

        Raises:
            PayloadEncryptionError: a marked field cannot be encrypted.
            KeyTooLongError: the payload has to be offloaded, and its key is too long for the store.
            StorageError: the blob could not be written.
        """
        prepared = self._prepare(data, context, offload=offload, has_json=has_json, floor=floor)
        return self._finish(prepared, context, write)

    async def encode_async(
        self,
        data: bytes | HeldText,
        context: BlobContext | None,
        *,
        offload: bool | None = None,
        has_json: bool = True,
        floor: int | None = None,
        write: bool = True,
    ) -> EncodedPayload:
        """Async form of `encode`; larger work runs in a thread."""
        prepare = partial(
            self._prepare, data, context, offload=offload, has_json=has_json, floor=floor
        )
        if self._encrypts_or_compresses and size_of(data) >= INLINE_WORK_BYTES:
            prepared = await run_in_cpu_thread_async(prepare)
        else:
            prepared = prepare()
        return await self._finish_async(prepared, context, write)

    def encode_value(
        self, value: object, context: BlobContext | None, *, what: str = "the value"
    ) -> EncodedPayload:
        """Write a value as JSON and encode the text.

        Args:
            value: anything pydantic can write as JSON.
            context: the execution or namespace the payload belongs to; with None nothing is
                offloaded.
            what: name of the value in errors.

        Raises:
            PayloadSerializationError: the value cannot be written as JSON.
            PayloadEncryptionError: a marked field cannot be encrypted.
            PayloadTooLargeError: the value exceeds the platform's limit, and no offloading is
                configured.
            KeyTooLongError: the payload has to be offloaded, and its key is too long for the store.
            StorageError: the blob could not be written.
        """
        payload = self.encode(dump_named_json(value, what), context)
        self._require_deliverable(payload, what)
        return payload

    async def encode_value_async(
        self, value: object, context: BlobContext | None, *, what: str = "the value"
    ) -> EncodedPayload:
        """Async form of `encode_value`; if any step is configured, all work runs in threads."""
        if not self.is_configured:
            return self.encode_value(value, context, what=what)
        prepared = await run_in_cpu_thread_async(
            lambda: self._prepare(dump_named_json(value, what), context)
        )
        payload = await self._finish_async(prepared, context)
        self._require_deliverable(payload, what)
        return payload

    def _require_deliverable(self, payload: EncodedPayload, what: str) -> None:
        if self._offloader is None and len(payload.data) > INLINE_LIMIT_BYTES:
            raise PayloadTooLargeError(
                what,
                size=len(payload.data),
                limit=INLINE_LIMIT_BYTES,
                remedy="Give the client workflow_payload_offloading=PayloadOffloadingConfig("
                "storage_config=BlobStorageConfig(…)), and the worker the "
                "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… variables for the same storage.",
            )

    def decode(self, payload: EncodedPayload, *, namespace: str | None = None) -> bytes:
        """Undo the recorded transforms, last first.

        Args:
            payload: the encoded payload.
            namespace: namespace whose blobs a reference may name; with None, any.

        Raises:
            OffloadingNotConfiguredError: it is a reference, and no storage is configured.
            EncryptionNotConfiguredError: it is encrypted, and no keys are configured.
            PayloadDecryptionError: no key decrypts it, or it was changed.
            PayloadDecompressionError: the compressed data is broken or exceeds the limit.
            PayloadDecodeError: the bytes do not match the recorded options.
            ReferenceRefusedError: the reference names a key it may not name.
            PayloadTooLargeError: the blob is larger than ``largest_bytes``.
            BlobNotFoundError: the blob was removed, or never written to this store.
            BlobCorruptedError: the stored bytes do not hash to the reference's digest.
            StorageError: the blob could not be read.
        """
        return self._undo_all(payload.data, _recorded(payload), namespace)

    async def decode_async(self, payload: EncodedPayload, *, namespace: str | None = None) -> bytes:
        """Async form of `decode`; larger work runs in a thread."""
        return await self._decode_with_async(payload, namespace, _unchanged)

    def decode_value(self, payload: EncodedPayload) -> Any:
        """Decode a payload and parse its JSON; bytes that are not JSON are returned unchanged.

        Such bytes are the result of a workflow that returns ``bytes``. JSON that no reader accepts
        is an error.

        Raises:
            PayloadDecodeError: the JSON is nested too deeply, or holds too long an integer.
        """
        return _parse(payload, self.decode(payload))

    async def decode_value_async(self, payload: EncodedPayload) -> Any:
        """Async form of `decode_value`; larger work runs in a thread."""
        return await self._decode_with_async(payload, None, partial(_parse, payload))

    def encrypt_patches(
        self, patches: Sequence[Mapping[str, Any]], paths: Collection[str]
    ) -> list[dict[str, Any]] | None:
        """Encrypt the values of an event's JSON patches at some paths, under partial encryption.

        Returns:
            The patches; None if there is nothing to encrypt, or no partial encryption.

        Raises:
            PayloadSerializationError: a value cannot be written as JSON.
        """
        if self._cipher is None or self.encrypts_whole:
            return None
        return encrypt_patches(patches, paths, self._cipher)

    def decode_patches(self, patches: list[Any]) -> list[Any]:
        """Return an event's JSON patches with their encrypted values decrypted.

        Raises:
            EncryptionNotConfiguredError: a value is encrypted, and no keys are configured.
            PayloadDecodeError: a value cannot be decrypted.
        """
        return decrypt_patches(patches, self._cipher)

    def key_error(self, context: BlobContext | None) -> KeyTooLongError | None:
        """Return the error of offloading any payload of an execution, or None if it is possible."""
        if self._offloader is None or context is None:
            return None
        return self._offloader.key_error(context)

    @property
    def field_cipher(self) -> FieldCipher:
        """The encryption of activity fields and files."""
        return self._field_cipher

    def encode_field_blob(self, data: bytes, *, namespace: str, run_id: str) -> bytes:
        """Return the blob of an activity field's content, encrypted if ``encrypt_fields`` is set.

        Within one workflow run the same content gives the same blob.

        Raises:
            PayloadEncryptionError: the content is larger than 2 GiB.
        """
        if not self._field_cipher.encrypts:
            return data
        return self._field_cipher.seal(data, namespace=namespace, run_id=run_id)

    def decode_field_blob(self, blob: bytes) -> bytes:
        """Return the content of an activity field's blob, encrypted or not.

        Raises:
            EncryptionNotConfiguredError: it is encrypted, and no keys are configured.
            PayloadDecryptionError: no key decrypts it, or it was changed.
        """
        return self._field_cipher.open(blob)

    def hash_schedule_input(self, data: bytes) -> str:
        """Return the ``input_hash`` of a schedule's input, given as JSON text.

        Raises:
            PayloadSerializationError: the text is not JSON.
        """
        return schedule_input_hash(data, self._encryption)

    def _prepare(
        self,
        data: bytes | HeldText,
        context: BlobContext | None,
        *,
        offload: bool | None = None,
        has_json: bool = True,
        floor: int | None = None,
    ) -> _Prepared:
        """Apply the steps before offloading, and decide whether the payload is offloaded."""
        options: list[EncodingOption] = []
        if self._encrypts_or_compresses:
            data, options = self._transform(bytes_of(data), has_json=has_json)
        size = size_of(data)
        offloader = self._offloader_for(size, offload, floor)
        error = self.key_error(context) if offloader is not None else None
        if error is not None:
            if offload or size + self._overhead > INLINE_LIMIT_BYTES:
                raise error
            offloader = None  # it can be delivered in place
        if offloader is None or context is None:
            data, options = self._encrypt_whole(bytes_of(data), options)
            return _Prepared(data, options, None)
        if self._cipher is not None and self._encrypts_blobs:
            data = self._cipher.encrypt_blob(
                bytes_of(data), namespace=context.namespace, execution_id=context.execution_id
            )
            options.append(EncodingOption.ENCRYPTED)
        return _Prepared(data, options, offloader)

    def _transform(self, data: bytes, *, has_json: bool) -> tuple[bytes, list[EncodingOption]]:
        """Apply the steps that precede the decision, and return the ones that changed the data."""
        options: list[EncodingOption] = []
        if self._cipher is not None and not self.encrypts_whole and has_json:
            marked = encrypt_marked(data, self._cipher)
            if marked is not None:
                data = marked
                options.append(EncodingOption.ENCRYPTED_PARTIAL)
        if self._compression is not None:
            smaller = zstd.compress(data, self._compression)
            if smaller is not None:
                data = smaller
                options.append(EncodingOption.COMPRESSED)
        return data, options

    def _finish(
        self, prepared: _Prepared, context: BlobContext | None, write: bool = True
    ) -> EncodedPayload:
        """Offload what is to be offloaded."""
        data, options = bytes_of(prepared.data), prepared.options
        if prepared.offloader is not None and context is not None:
            data = prepared.offloader.put(data, context, write=write)
            data, options = self._encrypt_whole(data, [*options, EncodingOption.OFFLOADED])
        return EncodedPayload(data, tuple(options))

    async def _finish_async(
        self, prepared: _Prepared, context: BlobContext | None, write: bool = True
    ) -> EncodedPayload:
        finish = partial(self._finish, prepared, context, write)
        if prepared.offloader is None:
            return finish()
        if write:
            return await prepared.offloader.store.run_async(finish)
        return await _compute_async(size_of(prepared.data), finish)

    def _encrypt_whole(
        self, data: bytes, options: list[EncodingOption]
    ) -> tuple[bytes, list[EncodingOption]]:
        if self._cipher is None or not self.encrypts_whole:
            return data, options
        return self._cipher.encrypt(data), [*options, EncodingOption.ENCRYPTED]

    async def _decode_with_async(
        self, payload: EncodedPayload, namespace: str | None, use: Callable[[bytes], T]
    ) -> T:
        """Decode a payload and pass the bytes to a function, in as few hops as possible.

        A blob that is in memory is not waited for in the store's threads.
        """
        options = _recorded(payload)
        data = payload.data

        def undo() -> T:
            return use(self._undo_all(data, options, namespace))

        while self._offloader is not None and EncodingOption.OFFLOADED in options:
            position = options.index(EncodingOption.OFFLOADED)
            before, options = options[:position], options[position:]
            unwrap = partial(self._undo_all, data, before, namespace)
            data = await _compute_async(_weight(len(data), before), unwrap)
            found = find_offloaded(data, self._offloader, namespace)
            if found is None:
                return await self._offloader.store.run_async(undo)
            data, options = found, options[1:]
        if not payload.options or (not options and use is _unchanged):
            return undo()
        return await _compute_async(_weight(len(data), options), undo)

    @property
    def _encrypts_or_compresses(self) -> bool:
        """True if encryption or compression is configured."""
        return self._cipher is not None or self._compression is not None

    @property
    def _encrypts_blobs(self) -> bool:
        return self._encryption is not None and self._encryption.blobs

    @property
    def _overhead(self) -> int:
        """Bytes that encryption adds to a payload."""
        return OVERHEAD_BYTES if self.encrypts_whole else 0

    def _offloader_for(
        self, size: int, offload: bool | None, floor: int | None
    ) -> Offloader | None:
        """Return the offloader if a payload of this size is to be offloaded."""
        if self._offloader and self._offloader.should_offload(
            size, offload, overhead=self._overhead, floor=floor
        ):
            return self._offloader
        return None

    def _undo_all(
        self, data: bytes, options: Sequence[EncodingOption], namespace: str | None
    ) -> bytes:
        for option in options:
            data = self._undo(option, data, namespace)
        return data

    def _undo(self, option: EncodingOption, data: bytes, namespace: str | None) -> bytes:
        if option is EncodingOption.OFFLOADED:
            return fetch_offloaded(data, self._offloader, namespace)
        if option is EncodingOption.ENCRYPTED_PARTIAL:
            return decrypt_marked(data, self._cipher)
        if option is EncodingOption.COMPRESSED:
            return zstd.decompress(data, limit=self._largest_unpacked)
        if self._cipher is None:
            raise EncryptionNotConfiguredError(NOT_CONFIGURED)
        return self._cipher.decrypt(data)


def describe_thresholds(config: PayloadOffloadingConfig) -> str:
    """Return the thresholds of a configuration as text for people."""
    text = f"from {config.min_size_bytes:,} bytes on"
    if config.history_floor_bytes == config.min_size_bytes:
        return text
    return f"{text} (from {config.history_floor_bytes:,} in histories)"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A payload before it is offloaded.

    Attributes:
        data: the blob to store; the finished payload if it is not offloaded.
        options: the transforms applied so far.
        offloader: stores the blob; None if the payload is not offloaded.
    """

    data: bytes | HeldText
    options: list[EncodingOption]
    offloader: Offloader | None


def _recorded(payload: EncodedPayload) -> list[EncodingOption]:
    """Return the transforms of a payload in the order in which they are undone."""
    if len(payload.options) > MAX_TRANSFORMS:
        raise PayloadDecodeError(
            f"a payload is marked with {len(payload.options)} transforms; the limit is "
            f"{MAX_TRANSFORMS}"
        )
    return list(reversed(payload.options))


def _weight(size: int, options: Sequence[EncodingOption]) -> int:
    """Return the bytes of work in undoing transforms; unpacking may be much work at any size."""
    return size if EncodingOption.COMPRESSED not in options else max(size, INLINE_WORK_BYTES)


async def _compute_async(size: int, work: Callable[[], T]) -> T:
    """Run work on ``size`` bytes: in place if it is small, otherwise in a thread."""
    if size < INLINE_WORK_BYTES:
        return work()
    return await run_in_cpu_thread_async(work)


def _unchanged(data: bytes) -> bytes:
    return data


def _parse(payload: EncodedPayload, data: bytes) -> Any:
    """Parse the JSON that a payload was decoded to."""
    try:
        return load_json_or_bytes(data)
    except PayloadDecodeError as error:
        if payload.options[-1:] != (EncodingOption.OFFLOADED,):
            raise
        key = Reference.from_json(payload.data).key
        raise PayloadDecodeError(f"{error} (offloaded to key {key!r})") from error


def _describe(
    offloading: PayloadOffloadingConfig | None,
    encryption: PayloadEncryptionConfig | None,
    compression: PayloadCompressionConfig | None,
) -> str:
    """Return one line for a log, without keys or credentials."""
    parts = {"offloading": "off", "encryption": "off", "compression": "off"}
    if offloading is not None:
        storage = offloading.storage_config.description
        parts["offloading"] = f"{describe_thresholds(offloading)}, to {storage}"
    if encryption is not None:
        old = len(encryption.keys) - 1
        blobs = "encrypted" if encryption.blobs else "in the clear"
        parts["encryption"] = (
            f"{encryption.mode.value}, blobs {blobs}, {old} old key{'' if old == 1 else 's'}"
        )
    if compression is not None:
        algorithm = compression.algorithm_config
        parts["compression"] = (
            f"from {compression.min_size_bytes:,} bytes on, "
            f"{algorithm.algorithm} level {algorithm.level}"
        )
    return "; ".join(f"{step}: {text}" for step, text in parts.items())
