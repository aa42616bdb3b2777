"""Who gets in, before anything is read: host name, origin of the page, bearer token.

CORS alone lets a foreign page's request through and only keeps the answer from it; here such a
request is refused. Without a token the Host header must be a loopback name, or any page could reach
this server under a name of its own that resolves to 127.0.0.1.
"""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mistral_offload.codecserver.options import CodecServerOptions

_HEADERS = ("authorization", "content-type", "x-namespace")
_PREFLIGHT_SECONDS = 600


def access(options: CodecServerOptions) -> list[Middleware]:
    """The checks, outermost first."""
    checks = [
        Middleware(KnownOrigin, origins=options.ui_origins),
        Middleware(
            CORSMiddleware,
            allow_origins=options.ui_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
        ),
    ]
    if options.token is None:
        return [Middleware(LoopbackName), *checks]
    return [*checks, Middleware(BearerToken, token=options.token.get_secret_value())]


class LoopbackName:
    """Refuses a request that was sent to this machine under any other name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse it, or hand it on."""
        if scope["type"] == "http" and not is_loopback(_host(Headers(scope=scope))):
            await refusal(
                403, "without a token this server answers under localhost and 127.0.0.1 only"
            )(scope, receive, send)
            return
        await self._app(scope, receive, send)


class KnownOrigin:
    """Refuses a request that a page of another origin makes."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse it, or hand it on."""
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is not None and origin not in self._origins:
            await refusal(
                403, "pages of this origin may not use this server: name it with --ui-origin"
            )(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BearerToken:
    """Refuses a request without the token; links bring a signature instead, checked where used."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse it, or hand it on."""
        if scope["type"] != "http" or _is_open(scope) or self._is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        await refusal(
            401, "send the header  Authorization: Bearer <token>", {"www-authenticate": "Bearer"}
        )(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip().encode("latin-1", "replace")
        return hmac.compare_digest(given, self._token) and scheme.lower() == "bearer"


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says what is wrong with the request."""
    return JSONResponse({"error": text}, status_code=status, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, whatever a name server says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host(headers: Headers) -> str:
    host = headers.get("host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_open(scope: Scope) -> bool:
    asked: tuple[str, str] = scope["method"], scope["path"]
    return asked in (("GET", "/health"), ("GET", "/download"))
