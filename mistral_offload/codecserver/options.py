"""Options of a codec server: access and limits."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from mistral_offload._credentials import shown_url, strip_credential
from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import MIB

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecServerOptions:
    """Options of a codec server.

    Attributes:
        token: required of requests as ``Authorization: Bearer <token>``; None accepts every request
            that is sent to a loopback name.
        ui_origins: origins of the pages that may use the server, as ``scheme://host[:port]``.
        namespaces: the only namespaces to serve; all if empty.
        preview_bytes: values longer than this are shown as a preview with a link.
        link_seconds: lifetime of such a link.
        public_url: base URL of links; by default the URL that the request was sent to.
        max_body_bytes: the largest request body.
        max_payloads: the most payloads in a request.
        max_decoded_bytes: the largest blob to read, and the largest value to decode.
        max_concurrent: the most payloads processed at a time, over all requests.

    Raises:
        ConfigurationError: an origin or URL is invalid, or the token has characters that no HTTP
            header carries.
    """

    token: SecretStr | None
    ui_origins: tuple[str, ...] = ()
    namespaces: frozenset[str] = frozenset()
    preview_bytes: int = 32 * 1024
    link_seconds: int = 900
    public_url: str | None = None
    max_body_bytes: int = 16 * MIB
    max_payloads: int = 1000
    max_decoded_bytes: int = 256 * MIB
    max_concurrent: int = 4

    def __post_init__(self) -> None:
        if self.token is not None:
            token = strip_credential(self.token.get_secret_value(), "token")
            object.__setattr__(self, "token", SecretStr(token))
        object.__setattr__(self, "ui_origins", tuple(map(read_origin, self.ui_origins)))
        url = urlsplit(self.public_url or "http://localhost")
        unwanted = url.query or url.fragment or "@" in url.netloc
        if url.scheme not in _DEFAULT_PORTS or not url.hostname or unwanted:
            raise ConfigurationError(
                f"{shown_url(self.public_url or '')} is not the http(s) address of a server"
            )


def read_origin(text: str) -> str:
    """Normalize an origin as browsers send it: lower case, no path, no default port.

    Raises:
        ConfigurationError: the text is not an origin.
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
            f"{shown_url(text)} is not the origin of a page: pass scheme://host[:port] as shown "
            "in the browser's address bar, such as http://localhost:8233"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
