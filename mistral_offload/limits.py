"""The platform's numbers, in one place. Bytes unless a name says otherwise."""

MIB = 1024 * 1024

PAYLOAD_LIMIT_BYTES = 2 * MIB
"""What the platform accepts for one argument list or result, metadata included."""

METADATA_ALLOWANCE_BYTES = 1024
"""Room left for what travels beside a value: encoding, namespace, execution id, options."""

INLINE_LIMIT_BYTES = PAYLOAD_LIMIT_BYTES - METADATA_ALLOWANCE_BYTES
"""The largest value that can be delivered without offloading."""

DEFAULT_PAYLOAD_MIN_SIZE_BYTES = 2 * MIB
"""From which size whole payloads are offloaded, unless the user sets another floor."""

DEFAULT_FIELD_MIN_SIZE_BYTES = 1 * MIB
"""From which model size activity fields are offloaded, unless the user sets another floor."""

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
