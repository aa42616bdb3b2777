"""Addresses and ports of servers that run on this machine."""

from __future__ import annotations

import random
import socket

from mistral_offload.devserver.errors import LocalPlatformError

# Below the range from which kernels take the ports of outgoing connections: one of those could
# get the port between our asking for it and the server's binding it.
_PORTS = range(15_000, 32_000)


def address_of(host: str) -> str:
    """The address to bind for a name; Temporal takes no names."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LocalPlatformError(f"no address for host {host!r}: {error.strerror}") from error
    return str(found[0][4][0])


def free_port(ip: str, asked: int) -> int:
    """``asked``, or a port nobody uses when it is 0.

    Raises:
        LocalPlatformError: the port is taken, or the address is not of this machine.
    """
    if asked:
        bind(ip, asked).close()
        return asked
    bind(ip, 0).close()  # tells a wrong address from a taken port
    while True:
        port = random.choice(_PORTS)  # noqa: S311
        try:
            bind(ip, port).close()
        except LocalPlatformError:
            continue
        return port


def bind(ip: str, port: int) -> socket.socket:
    """A bound TCP socket that nobody else is bound to.

    Raises:
        LocalPlatformError: the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    # The protocol is named because asyncio sends small answers without delay only if it is.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((ip, port))
    except OSError as error:
        bound.close()
        raise LocalPlatformError(f"cannot use port {port} of {ip}: {error.strerror}") from error
    return bound


def written(host: str, port: int) -> str:
    """``host:port``; for "every address of this machine", its loopback address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def accepts(ip: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((ip, port), timeout=1).close()
    except OSError:
        return False
    return True
