"""Clients and data converters for a worker's own use."""

from __future__ import annotations

from dataclasses import replace

from temporalio.client import Client
from temporalio.converter import DataConverter

from mistral_offload.temporal.codec import OffloadingCodec


def worker_client(client: Client) -> Client:
    """Return a client for a worker, on the same connection.

    Its codec returns placeholders for payloads that cannot be decoded to the worker, and raises for
    everyone else who uses the client. A client without `OffloadingCodec` is returned unchanged.
    """
    converter = worker_converter(client.data_converter)
    if converter is client.data_converter:
        return client
    config = client.config(active_config=True)
    config["data_converter"] = converter
    config["plugins"] = []  # they have configured the client already; not again
    return Client(**config)


def worker_converter(converter: DataConverter) -> DataConverter:
    """Return a data converter for a worker or a replayer; see `worker_client`."""
    codec = converter.payload_codec
    if not isinstance(codec, OffloadingCodec) or codec.is_for_worker:
        return converter
    return replace(converter, payload_codec=codec.for_worker())
