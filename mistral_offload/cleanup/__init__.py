"""Blobs in the bucket and their owners: lists, storage use, garbage collection and erasure.

`inventory` lists blobs, `owners` reads the owner from a key, `usage` sums up sizes.
`temporal_executions` queries Temporal and records the results in `executions`; `retention` decides
what may be deleted, without any I/O, and `garbage_collection` deletes it. `erasure` finds all blobs
of one execution.
"""
