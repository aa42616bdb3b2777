"""What a codec server is told: who may ask, from which page, and how much at a time."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import MIB

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecServerOptions:
    """How a codec server behaves.

    Attributes:
        token: what a request must carry as ``Authorization: Bearer <token>``; None lets everybody
            in who reaches it under a loopback name.
        ui_origins: the pages that may use it, as ``scheme://host[:port]``.
        namespaces: the only ones it answers for; every one if empty.
        preview_bytes: of what is longer only the beginning is shown, with a link to the rest.
        link_seconds: how long such a link works.
        public_url: what links begin with; what the request was sent to if not given.
        body_bytes: the longest request body.
        payloads: the most payloads a request may have.
        decoded_bytes: the largest blob that is read and the largest value that is decoded.
        at_once: how many payloads are worked on at a time, of all requests together.

    Raises:
        ConfigurationError: an origin or URL is not one.
    """

    token: SecretStr | None
    ui_origins: tuple[str, ...] = ()
    namespaces: frozenset[str] = frozenset()
    preview_bytes: int = 32 * 1024
    link_seconds: int = 900
    public_url: str | None = None
    body_bytes: int = 16 * MIB
    payloads: int = 1000
    decoded_bytes: int = 256 * MIB
    at_once: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "ui_origins", tuple(map(read_origin, self.ui_origins)))
        url = urlsplit(self.public_url or "http://localhost")
        if url.scheme not in _DEFAULT_PORTS or not url.hostname or url.query or url.fragment:
            raise ConfigurationError(f"{self.public_url!r} is not the http(s) address of a server")


def read_origin(text: str) -> str:
    """An origin as browsers write it: lower case, no path, no default port.

    Raises:
        ConfigurationError: it is not one.
    """
    parts = urlsplit(text.rstrip("/"))
    try:
        port = parts.port
    except ValueError:
        port = 0
    if (
        parts.scheme not in _DEFAULT_PORTS
        or not parts.hostname
        or port == 0
        or any((parts.path, parts.query, parts.fragment, parts.username, parts.password))
    ):
        raise ConfigurationError(
            f"{text!r} is not the origin of a page: give scheme://host[:port], such as "
            "http://localhost:8233, as the browser's address bar has it"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
