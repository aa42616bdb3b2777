"""The proxy that the environment names for a server, for error messages."""

from __future__ import annotations

import os
from urllib.parse import urlsplit


def describe_proxy(url: str) -> str | None:
    """Return the proxy that httpx uses for a URL with its variable, without password; None if none.

    Only variables are looked at, in lower case first, as httpx does; settings of the operating
    system are not.
    """
    parts = urlsplit(url)
    if _is_direct(parts.hostname or ""):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if text := os.environ.get(variable):
                return f"{_masked(text)} ({variable})"
    return None


def _is_direct(host: str) -> bool:
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for entry in listed.lower().split(","):
        text = entry.strip().removeprefix("all://").lstrip(".")
        if text and (text == "*" or host == text or host.endswith(f".{text}")):
            return True
    return False


def _masked(address: str) -> str:
    """Return an address with asterisks instead of a password, or of a user name alone."""
    start, separator, server = address.rpartition("@")
    if not separator:
        return address
    scheme, slashes, credentials = start.rpartition("://")
    user, colon, _ = credentials.partition(":")  # without a colon, it may be a token
    return f"{scheme}{slashes}{user + colon if colon else ''}***@{server}"
