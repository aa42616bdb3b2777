"""The platform's numbers, in one place. Bytes unless a name says otherwise."""

MIB = 1024 * 1024

PAYLOAD_LIMIT_BYTES = 2 * MIB
"""What the platform accepts for one argument list or result, metadata included."""

METADATA_ALLOWANCE_BYTES = 1024
"""Room left for what travels beside a value: encoding, namespace, execution id, options."""

INLINE_LIMIT_BYTES = PAYLOAD_LIMIT_BYTES - METADATA_ALLOWANCE_BYTES
"""The largest value that can be delivered without offloading."""

MESSAGE_BUDGET_BYTES = 7 * MIB // 2
"""What the payloads of one workflow task's answer may have together; the server takes 4 MiB."""

SMALLEST_OFFLOADED_BYTES = 2 * 1024
"""Below this a reference is hardly smaller than the payload itself."""

LOW_FLOOR_BYTES = 16 * 1024
"""From which size payloads are offloaded when it is not known what else is in their message."""

DEFAULT_PAYLOAD_MIN_SIZE_BYTES = 2 * MIB
"""From which size whole payloads are offloaded, unless the user sets another floor."""

DEFAULT_FIELD_MIN_SIZE_BYTES = 1 * MIB
"""From which model size activity fields are offloaded, unless the user sets another floor."""

DEFAULT_COMPRESSION_MIN_SIZE_BYTES = 1 * MIB
"""From which size payloads are compressed, unless the user sets another floor."""

DEFAULT_DECOMPRESSED_LIMIT_BYTES = 1024 * MIB
"""The largest payload that a compressed one may unpack to, unless the user sets another limit."""

UNSIZED_FRAME_LIMIT_BYTES = 1 * MIB
"""The same for a zstd frame that does not say how large its content is."""

MAX_TRANSFORMS = 8
"""Encoding options a payload may have. The encoder applies five at most."""

INLINE_WORK_BYTES = 64 * 1024
"""Payloads below this size are compressed and encrypted without leaving the event loop."""

DEFAULT_STORAGE_CONNECTIONS = 16
"""Threads of a store and connections of its HTTP pool: one number, so neither waits."""

DEFAULT_STORAGE_RETRY_SECONDS = 8.0
"""How long a store operation goes on trying after a transient fault, first attempt included."""

DEFAULT_CACHE_MEMORY_BYTES = 256 * MIB
"""Blobs kept in the memory of a process, least recently used dropped first."""

DEFAULT_CACHE_DIRECTORY_BYTES = 4096 * MIB
"""Blobs kept in the cache directory, when there is one."""

DEFAULT_REQUEST_TIMEOUT_SECONDS = 300.0
"""Connect, read, write and pool timeout of a REST request, as in the official client."""

DEFAULT_RETENTION_DAYS = 30
"""How long Temporal keeps an ended execution, unless its namespace says otherwise."""
