"""Components for plain temporalio clients and workers: one plugin, or its parts."""

from importlib.util import find_spec

from mistral_offload.errors import MissingExtraError

if find_spec("temporalio") is None:
    raise MissingExtraError("the Temporal half of mistral_offload", "worker")

from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.converter import ContextValue, data_converter, read_value
from mistral_offload.temporal.external_storage import BlobStorageDriver
from mistral_offload.temporal.interceptors import ContextInterceptor
from mistral_offload.temporal.plugin import OffloadPlugin
from mistral_offload.temporal.sandbox import sandbox_runner
from mistral_offload.temporal.wire.context_payloads import read_context

__all__ = [
    "BlobStorageDriver",
    "ContextInterceptor",
    "ContextValue",
    "OffloadPlugin",
    "OffloadingCodec",
    "PayloadEncoder",
    "data_converter",
    "read_context",
    "read_value",
    "sandbox_runner",
]
