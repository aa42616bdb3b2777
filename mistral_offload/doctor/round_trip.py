"""Checks that a value survives encoding, storing and decoding with the settings."""

from __future__ import annotations

from mistral_offload.doctor.findings import Check, Verdict, failed, ok
from mistral_offload.doctor.probe import Probe
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.reference import Reference

_LARGEST_BYTES = 4 * 1024 * 1024
_WORDS = {
    EncodingOption.OFFLOADED: "offloaded",
    EncodingOption.COMPRESSED: "compressed",
    EncodingOption.ENCRYPTED: "encrypted",
    EncodingOption.ENCRYPTED_PARTIAL: "partly encrypted",
}


class RoundTripChecks:
    """Encodes as one process would and decodes as another, using the store of a probe."""

    def __init__(self, settings: WorkerSettings, probe: Probe) -> None:
        self._settings = settings
        self._probe = probe

    def checks(self) -> list[Check]:
        """Return one check, of a payload or of an activity field."""
        is_field = self._probe.target.root == FIELD_ROOT
        return [
            self._probe.target.check(
                "round_trip",
                "round trip",
                self._field if is_field else self._payload,
                needs=("get", "encryption.keys"),
                after=("throughput",),
            )
        ]

    async def _payload(self) -> Verdict:
        context, value = self._probe.context, self._value()
        writer = self._encoder()
        planned = await writer.encode_async(value, context, offload=True, write=False)
        self._probe.expect(await self._key_of(planned))
        encoded = await self._probe.write(writer.encode_async(value, context, offload=True))
        # Another encoder, since the first one has the blob in its cache.
        decoded = await self._encoder().decode_async(encoded, namespace=context.namespace)
        return _verdict(decoded == value, [_WORDS[option] for option in encoded.options])

    async def _field(self) -> Verdict:
        context, value = self._probe.context, self._value()
        encoder = self._encoder()
        blob = encoder.encode_field_blob(
            value, namespace=context.namespace, run_id=context.execution_id
        )
        key = await self._probe.put(blob)
        content = encoder.decode_field_blob(await self._probe.store.get_async(key))
        encrypted = [] if blob == value else [_WORDS[EncodingOption.ENCRYPTED]]
        return _verdict(content == value, [*encrypted, _WORDS[EncodingOption.OFFLOADED]])

    def _encoder(self) -> PayloadEncoder:
        """Return an encoder with the settings' transforms and the probe's store."""
        offloading = self._settings.payload_offloading
        return PayloadEncoder(
            offloading,
            encryption=self._settings.payload_encryption,
            compression=self._settings.payload_compression,
            store=None if offloading is None else self._probe.store,
        )

    def _value(self) -> bytes:
        """Return JSON just large enough to be compressed, up to a few megabytes."""
        compression = self._settings.payload_compression
        size = 1024 if compression is None else compression.min_size_bytes
        line = "mistral-offload doctor test value. "
        return dump_json(line * (min(size, _LARGEST_BYTES) // len(line) + 1))

    async def _key_of(self, encoded: EncodedPayload) -> str:
        """Return the key in a reference, which full encryption has encrypted."""
        last = encoded.options.index(EncodingOption.OFFLOADED) + 1
        reference = EncodedPayload(encoded.data, encoded.options[last:])
        return Reference.from_json(await self._encoder().decode_async(reference)).key


def _verdict(is_same: bool, transforms: list[str]) -> Verdict:
    if not is_same:
        return failed(
            "the value read back differs from the one written", "report a bug of mistral-offload"
        )
    return ok(f"{', '.join(transforms)}, and read back")
