"""Addresses and ports of servers that run on this machine."""

from __future__ import annotations

import contextlib
import random
import socket

from mistral_offload.devserver.errors import LocalPlatformError

# Below the range from which kernels take the ports of outgoing connections: one of those could
# take the port after it was found free and before the server binds it.
_PORTS = range(15_000, 32_000)


def resolve_host(host: str) -> str:
    """Resolve a host name to the address to bind; Temporal accepts no names.

    Raises:
        LocalPlatformError: the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LocalPlatformError(f"no address for host {host!r}: {error.strerror}") from error
    return str(found[0][4][0])


def own_addresses() -> set[str]:
    """Return the addresses under which other machines reach this one, as far as it knows them."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found |= {str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None)}
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # No packet is sent: connecting a datagram socket only chooses the address of this side.
        with (
            contextlib.suppress(OSError),
            socket.socket(family, socket.SOCK_DGRAM) as probe,
        ):
            probe.connect((elsewhere, 9))
            found.add(str(probe.getsockname()[0]))
    return found


def free_port(ip: str, requested: int) -> int:
    """Return the requested port, or a free one if it is 0.

    Raises:
        LocalPlatformError: the port is in use, or the address is not one of this machine.
    """
    if requested:
        bind(ip, requested).close()
        return requested
    bind(ip, 0).close()  # a wrong address fails here, not in the loop
    while True:
        port = random.choice(_PORTS)  # noqa: S311
        try:
            bind(ip, port).close()
        except LocalPlatformError:
            continue
        return port


def bind(ip: str, port: int) -> socket.socket:
    """Return a TCP socket bound exclusively to a port, or to a free one if it is 0.

    Raises:
        LocalPlatformError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    # asyncio sends small responses without delay only if the protocol is given explicitly.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((ip, port))
    except OSError as error:
        bound.close()
        raise LocalPlatformError(f"cannot use port {port} of {ip}: {error.strerror}") from error
    return bound


def format_address(host: str, port: int) -> str:
    """Return ``host:port``, with the loopback address for "every address of this machine"."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_listening(ip: str, port: int) -> bool:
    """Return True if a server listens on a port."""
    try:
        socket.create_connection((ip, port), timeout=1).close()
    except OSError:
        return False
    return True
