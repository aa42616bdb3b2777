"""Limits of the platform and defaults of this package. Bytes unless a name says otherwise."""

MIB = 1024 * 1024

PAYLOAD_LIMIT_BYTES = 2 * MIB
"""Largest argument list or result that the platform accepts, metadata included."""

METADATA_ALLOWANCE_BYTES = 1024
"""Allowance for the metadata beside a value: encoding, namespace, execution id, options."""

INLINE_LIMIT_BYTES = PAYLOAD_LIMIT_BYTES - METADATA_ALLOWANCE_BYTES
"""Largest value that can be delivered without offloading."""

MESSAGE_BUDGET_BYTES = 7 * MIB // 2
"""Bound of all payloads in one workflow task response together; the server accepts 4 MiB."""

SMALLEST_OFFLOADED_BYTES = 2 * 1024
"""Size below which a reference is hardly smaller than the payload itself."""

LOW_FLOOR_BYTES = 16 * 1024
"""Offloading threshold for payloads whose message may hold other, unknown payloads."""

DEFAULT_PAYLOAD_MIN_SIZE_BYTES = 2 * MIB
"""Default offloading threshold of whole payloads."""

DEFAULT_HISTORY_MIN_SIZE_BYTES = 256 * 1024
"""Default offloading threshold of payloads that stay in a history, the same as Temporal's own."""

HISTORY_LIMIT_BYTES = 50 * MIB
"""Size of a history at which Temporal terminates the execution."""

HISTORY_WARNING_BYTES = 10 * MIB
"""Size of a history from which offloading thresholds fall, and at which a worker warns."""

DEFAULT_FIELD_MIN_SIZE_BYTES = 1 * MIB
"""Default offloading threshold of activity fields, compared to the size of their model."""

DEFAULT_WHOLE_FILE_MAX_BYTES = 8 * MIB
"""Default, and lowest, size of the largest file that is one object: that of a chunk."""

LARGEST_WHOLE_FILE_BYTES = 32 * MIB
"""Largest value of that setting: such a file is in memory while it is transferred."""

DEFAULT_COMPRESSION_MIN_SIZE_BYTES = 1 * MIB
"""Default compression threshold of payloads."""

DEFAULT_DECOMPRESSED_LIMIT_BYTES = 1024 * MIB
"""Default bound of the size that a compressed payload may unpack to."""

UNSIZED_FRAME_LIMIT_BYTES = 1 * MIB
"""Bound of the size that a zstd frame without a content size may unpack to."""

MAX_TRANSFORMS = 8
"""Maximum number of encoding options of a payload. The encoder applies five at most."""

INLINE_WORK_BYTES = 64 * 1024
"""Size below which payloads are compressed and encrypted in the event loop's thread."""

DEFAULT_STORAGE_CONNECTIONS = 16
"""Threads of a store and connections of its HTTP pool: one number, so that neither waits."""

DEFAULT_STORAGE_RETRY_SECONDS = 8.0
"""Time limit for retrying a store operation after transient faults, first attempt included."""

DEFAULT_RENEW_AFTER_SECONDS = 24 * 60 * 60.0
"""Age of a blob, in seconds, from which its next use resets the age."""

DEFAULT_CACHE_MEMORY_BYTES = 256 * MIB
"""Bound of the blobs kept in memory; the least recently used are dropped first."""

DEFAULT_LOST_BLOB_SECONDS = 60.0
"""Time for which a worker must have found a blob missing before it may end an execution for it."""
SLOW_READS_MEMORY_BYTES = 128 * MIB
"""Bound of the blobs kept for a while because they took long to read, cache or not."""

DEFAULT_CACHE_DIRECTORY_BYTES = 4096 * MIB
"""Bound of the blobs kept in the cache directory, if one is configured."""

DEFAULT_REQUEST_TIMEOUT_SECONDS = 300.0
"""Connect, read, write and pool timeout of a REST request, the same as in the official client."""

DEFAULT_MAX_RESPONSE_BYTES = 64 * MIB
"""Bound of one REST response, decompressed, and of one event of a stream."""

DEFAULT_HOLD_SECONDS = 5.0
"""Time for which the platform may hold a start request until there is a result."""

DEFAULT_RETENTION_DAYS = 30
"""Days that Temporal keeps a closed execution, unless its namespace is configured otherwise."""

DEFAULT_WORKFLOW_DEADLOCK_SECONDS = 8.0
"""Time that a workflow's code may take without yielding. Below the 10 s of a workflow task."""
