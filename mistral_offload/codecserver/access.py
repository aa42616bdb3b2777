"""Access checks, before a body is read: host name, origin of the page, bearer token.

CORS alone lets a foreign page's request through and only hides the response from it; here such a
request is rejected. Without a token the Host header must be a loopback name, or any page could
reach this server under a name of its own that resolves to 127.0.0.1.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mistral_offload.codecserver.http_server import BodyLimit
from mistral_offload.codecserver.options import CodecServerOptions

_HEADERS = ("authorization", "content-type", "x-namespace")
_PREFLIGHT_SECONDS = 600
_HOST = re.compile(r"(\[(?P<address>[^\]]+)\]|(?P<name>[^:\[\]@/]+))(:[0-9]*)?")


def access_checks(options: CodecServerOptions) -> list[Middleware]:
    """Return the checks as middleware, outermost first."""
    checks = [
        Middleware(OriginCheck, origins=options.ui_origins),
        Middleware(
            CORSMiddleware,
            allow_origins=options.ui_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
        ),
    ]
    body_limit = Middleware(
        BodyLimit, largest=lambda path: options.max_body_bytes, refuse=error_response
    )
    if options.token is None:
        host_check = Middleware(
            HostCheck,
            refuse=error_response,
            text="without a token, requests must be sent to a loopback name such as localhost",
        )
        return [host_check, *checks, body_limit]
    bearer_check = Middleware(BearerTokenCheck, token=options.token.get_secret_value())
    return [*checks, bearer_check, body_limit]


class HostCheck:
    """Rejects requests whose Host header is neither a loopback name nor one of the given names.

    Args:
        app: the app behind it.
        names: names and addresses to accept, in lower case.
        refuse: returns the response for a status and a text.
        text: the text of that response.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: frozenset[str] = frozenset(),
        refuse: Callable[[int, str], Response],
        text: str,
    ) -> None:
        self._app = app
        self._names = names
        self._refuse = refuse
        self._text = text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it on."""
        if scope["type"] == "http":
            host = _host(Headers(scope=scope))
            if not is_loopback(host) and host not in self._names:
                await self._refuse(403, self._text)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class OriginCheck:
    """Rejects requests made by a page of an origin that is not allowed."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it on."""
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is not None and origin not in self._origins:
            await error_response(
                403, "pages of this origin may not use this server: allow it with --ui-origin"
            )(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BearerTokenCheck:
    """Rejects requests without the token. Links carry a signature instead, checked on download."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it on."""
        if scope["type"] != "http" or _is_exempt(scope) or self._is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        await error_response(
            401, "send the header  Authorization: Bearer <token>", {"www-authenticate": "Bearer"}
        )(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        return carries_token(headers, self._token)


def error_response(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a response that describes the problem with a request."""
    return JSONResponse({"error": text}, status_code=status, headers=headers)


def carries_token(headers: Headers, token: bytes) -> bool:
    """Return True if a request has this bearer token; compares in constant time."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    is_known = hmac.compare_digest(given.strip().encode("latin-1", "replace"), token)
    return is_known and scheme.lower() == "bearer"


def is_loopback(host: str) -> bool:
    """Return True for a loopback address or ``localhost``; does not resolve names."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host(headers: Headers) -> str:
    """Return the name or address in the Host header, in lower case; empty if it is malformed."""
    found = _HOST.fullmatch(headers.get("host", "").lower())
    return (found["address"] or found["name"]) if found else ""


def _is_exempt(scope: Scope) -> bool:
    route: tuple[str, str] = scope["method"], scope["path"]
    return route in (("GET", "/health"), ("GET", "/download"))
