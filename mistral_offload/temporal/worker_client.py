"""Clients and data converters for a worker's own use."""

from __future__ import annotations

from dataclasses import replace

from temporalio.client import Client
from temporalio.converter import DataConverter, WithSerializationContext
from temporalio.worker import Worker

from mistral_offload.temporal.activity_transfers import ActivityTransfers
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.deferred_values import WorkerDataConverter
from mistral_offload.temporal.heartbeats import USUAL_PACE, HeartbeatPace
from mistral_offload.temporal.outbound.tracking_converter import (
    hold_data,
    separate_class,
    takes_contexts,
)


def worker_client(client: Client, pace: HeartbeatPace = USUAL_PACE) -> Client:
    """Return a client for a worker, on the same connection.

    Its codec returns placeholders for payloads that cannot be decoded to the worker, and raises for
    everyone else who uses the client. Its worker transfers the payloads of activities while they
    run; see `ActivityTransfers`. A client without `OffloadingCodec` is returned unchanged.

    Args:
        client: the client to copy.
        pace: intervals at which the worker sends heartbeats.
    """
    converter = worker_converter(client.data_converter)
    if converter is client.data_converter:
        return client
    config = client.config(active_config=True)
    own_class = separate_class(converter.payload_converter_class)
    own_converter = WorkerDataConverter.of(
        replace(converter, payload_converter_class=own_class),
        keeps_copies=not _takes_contexts(converter),
    )
    config["data_converter"] = own_converter
    config["interceptors"] = [ActivityTransfers(own_converter, pace), *config["interceptors"]]
    config["plugins"] = []  # they have configured the client already; not again
    return Client(**config)


def worker_converter(converter: DataConverter) -> DataConverter:
    """Return a data converter for a worker or a replayer; see `worker_client`."""
    codec = converter.payload_codec
    if not isinstance(codec, OffloadingCodec) or codec.is_for_worker:
        return converter
    return replace(converter, payload_codec=codec.for_worker())


def _takes_contexts(converter: DataConverter) -> bool:
    """Return True if a part that is the application's may take a context.

    Its copies may depend on more than the context, such as keys that change.
    """
    codec = converter.payload_codec
    return (
        not isinstance(codec, OffloadingCodec)
        or codec.has_own_codec
        or takes_contexts(converter.payload_converter_class)
        or isinstance(converter.failure_converter, WithSerializationContext)
        or converter.external_storage is not None
    )


def hold_outgoing_data(worker: Worker) -> None:
    """Let a worker hold the data of large payloads beside its workflows' commands.

    Must be called before the worker runs. Does nothing if another codec would see the payloads.
    """
    converter = worker.client.data_converter
    if isinstance(converter.payload_codec, OffloadingCodec):
        hold_data(converter.payload_converter_class)
