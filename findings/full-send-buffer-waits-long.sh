#!/usr/bin/env bash
# A socket whose send buffer is full is not writable until a third of the buffer is acknowledged.
#
# Versions: Linux 6.18, CPython 3.11.
# One would guess: a socket with a timeout fails only if the peer accepts nothing for so long; any
#   progress makes room, so sending all at once is at least as safe as sending in pieces.
# What happens: the kernel lets the buffer grow to megabytes. Once it is full, `send` waits until a
#   third of it is free, though the peer reads all the time. Pieces of 256 KiB never fill the
#   buffer, since each waits first, so a wait ends after much less.
# It matters because on a slow uplink that is seconds: 7 s at 200 kB/s, longer than many a timeout.
# Output seen:
#   all at once: the peer read 1426 KiB while the sender waited
#   in pieces: the peer read 311 KiB while the sender waited
set -euo pipefail
python3 - <<'PYTHON'
import select
import socket

STEP = 32 * 1024


def most_read_in_a_wait(piece):
    """Send 32 MB, and return the most that the peer had to read before the sender could go on."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        server.bind(("127.0.0.1", 0))
        server.listen()
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    sender.setblocking(False)
    left, most = memoryview(bytes(32_000_000)), 0
    with sender, receiver:
        while left:
            read = 0
            while not select.select([], [sender], [], 0.002)[1]:
                read += len(receiver.recv(STEP))
            most = max(most, read)
            left = left[sender.send(left[:piece]) :]
    return most


at_once = most_read_in_a_wait(32_000_000)
print(f"all at once: the peer read {at_once // 1024} KiB while the sender waited")
in_pieces = most_read_in_a_wait(256 * 1024)
print(f"in pieces: the peer read {in_pieces // 1024} KiB while the sender waited")
assert at_once > max(1_000_000, 2 * in_pieces), "a full buffer is writable sooner than it was"
PYTHON
