"""What lies in the bucket, whose it is, and what may go: lists, sums, garbage and erasure.

`inventory` lists blobs, `owners` says whose they are, `usage` adds them up. `census` asks Temporal
what it knows, `executions` holds the answers, `deciding` decides without any I/O, `collecting` acts
on it. `erasing` is for one execution.
"""
