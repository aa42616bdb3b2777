"""Request and response bodies of the protocol: ``Payloads`` as proto3 JSON, with size limits."""

from __future__ import annotations

import asyncio
import json
from typing import cast

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from starlette.requests import Request
from starlette.responses import Response
from temporalio.api.common.v1 import Payload, Payloads

from mistral_offload.codecserver.options import CodecServerOptions

_MEMBERS_PER_PAYLOAD = 16
"""JSON members for one payload, metadata included; workers write about ten."""


class Refusal(Exception):
    """The request is rejected; becomes a response with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


async def read_payloads(request: Request, options: CodecServerOptions) -> list[Payload]:
    """Read the payloads of a request.

    Raises:
        Refusal: the body is too large, has too many payloads, or does not follow the protocol.
    """
    body = await request.body()
    # Text in base64 has none of these characters, and a look at the bytes costs nothing.
    most_members = _MEMBERS_PER_PAYLOAD * options.max_payloads
    if body.count(b":") > most_members or body.count(b"{") > most_members:
        raise Refusal(
            413,
            f"too many payloads, or too much metadata: the limit is {options.max_payloads:,} "
            f"payloads, and {_MEMBERS_PER_PAYLOAD} JSON members for each on average",
        )
    return await asyncio.to_thread(_parse, body, options.max_payloads)


def _parse(body: bytes, max_payloads: int) -> list[Payload]:
    try:
        document = json.loads(body)
        given = cast("list[object]", document["payloads"] if document else [])
        if len(given) > max_payloads:
            raise Refusal(413, f"{len(given):,} payloads exceed the limit of {max_payloads:,}")
        return list(ParseDict(document, Payloads()).payloads)
    # protobuf raises SystemError for lone surrogates.
    except (ParseError, ValueError, KeyError, TypeError, RecursionError, SystemError):
        raise Refusal(
            400, 'the body must be JSON like {"payloads": [{"metadata": {…}, "data": "<base64>"}]}'
        ) from None


async def write_payloads(payloads: list[Payload]) -> Response:
    """Return a response of the protocol."""
    text = await asyncio.to_thread(_render, payloads)
    return Response(text, media_type="application/json", headers={"cache-control": "no-store"})


def _render(payloads: list[Payload]) -> bytes:
    return MessageToJson(Payloads(payloads=payloads), indent=None).encode()


def read_namespace(request: Request, options: CodecServerOptions) -> str:
    """Read the namespace of a request, from the beginning of the path or from its header.

    Raises:
        Refusal: the request has no namespace, or one that this server does not serve.
    """
    namespace = request.path_params.get("namespace") or request.headers.get("x-namespace")
    if not namespace:
        raise Refusal(400, "the namespace of the payloads is missing: send the header X-Namespace")
    require_namespace(namespace, options)
    return str(namespace)


def require_namespace(namespace: str, options: CodecServerOptions) -> None:
    """Check that the options allow a namespace.

    Raises:
        Refusal: they do not.
    """
    if options.namespaces and namespace not in options.namespaces:
        raise Refusal(403, f"this server does not serve namespace {namespace!r}")
