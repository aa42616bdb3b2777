"""Payload encoding of a client that exists already, as the official SDK configures it."""

from __future__ import annotations

from mistral_offload.client.mistral import Mistral
from mistral_offload.config import (
    Config,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)


class WorkflowEncodingConfig(Config):
    """The three configurations of payload encoding in one object.

    Attributes:
        payload_offloading: the store for large inputs and results.
        payload_encryption: encryption keys and mode.
        payload_compression: compression level and smallest size.
    """

    payload_offloading: PayloadOffloadingConfig | None = None
    payload_encryption: PayloadEncryptionConfig | None = None
    payload_compression: PayloadCompressionConfig | None = None


async def configure_workflow_encoding(
    config: WorkflowEncodingConfig, *, client: Mistral, namespace: str | None = None
) -> None:
    """Configure the payload encoding of a client; it holds for its later calls.

    It sends no request. Where no event loop runs, ``client.configure_encoding`` does the same, and
    a new client takes the configurations itself.

    Args:
        config: the configurations; those left out are off.
        client: the client to configure.
        namespace: namespace of the workflows. Default: the client's.

    Raises:
        MissingExtraError: encryption or compression is configured, but its packages are not
            installed.
    """
    client.configure_encoding(
        workflow_payload_offloading=config.payload_offloading,
        workflow_payload_encryption=config.payload_encryption,
        workflow_payload_compression=config.payload_compression,
        namespace=namespace,
    )
