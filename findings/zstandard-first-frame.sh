#!/usr/bin/env bash
# ZstdDecompressor.decompress returns the first frame only, and says nothing about the rest.
#
# Versions: zstandard 0.25.0. Seen with CPython 3.11.
# One would guess: two frames after each other, which the format allows and the zstd command reads
#   as one stream, are decompressed as one, or refused.
# What happens: decompress() returns the content of the first frame without an error. A stream reader
#   of the same bytes returns both. allow_extra_data=False refuses them.
# It matters because data that another tool compressed in pieces arrives cut.
# Output seen:
#   decompress: 1000 bytes
#   stream_reader: 2000 bytes
#   allow_extra_data=False: ZstdError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zstandard==0.25.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

import zstandard

compressor = zstandard.ZstdCompressor()
frames = compressor.compress(b"a" * 1000) + compressor.compress(b"b" * 1000)

first = zstandard.ZstdDecompressor().decompress(frames)
print("decompress:", len(first), "bytes")
assert first == b"a" * 1000

both = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(frames)).read()
print("stream_reader:", len(both), "bytes")
assert both == b"a" * 1000 + b"b" * 1000

try:
    zstandard.ZstdDecompressor().decompress(frames, allow_extra_data=False)
except zstandard.ZstdError as error:
    print("allow_extra_data=False:", type(error).__name__)
else:
    raise SystemExit("the second frame was accepted")
PYTHON
