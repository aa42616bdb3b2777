#!/usr/bin/env bash
# obstore's rename() of an object onto its own name deletes it in memory, and keeps it in a folder.
#
# Versions: obstore 0.12.1. Seen with CPython 3.11.
# One would guess: a rename to the same name does nothing, as in a file system, or is refused.
# What happens: where the store has no rename of its own, obstore copies the object and then deletes the
#   source, which is the copy. MemoryStore loses the object, without an error. LocalStore renames a file and
#   keeps it.
# It matters because code that moves objects to normalised names meets names that are normal already, and
#   a test with LocalStore passes.
# Output seen:
#   LocalStore: kept
#   MemoryStore: gone
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    obstore==0.12.1
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import os

from obstore.store import LocalStore, MemoryStore

folder = f"{os.environ['FOLDER']}/store"
for store, expected in ((LocalStore(folder, mkdir=True), "kept"), (MemoryStore(), "gone")):
    store.put("blob", b"content")
    assert bytes(store.get("blob").bytes()) == b"content"
    store.rename("blob", "blob")
    try:
        assert bytes(store.get("blob").bytes()) == b"content"
        outcome = "kept"
    except FileNotFoundError:
        outcome = "gone"
    print(f"{type(store).__name__}: {outcome}")
    assert outcome == expected
PYTHON
