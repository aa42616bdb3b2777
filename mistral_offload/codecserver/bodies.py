"""Request and response bodies of the protocol: ``Payloads`` as proto3 JSON, with size limits."""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.requests import Request
from starlette.responses import Response
from temporalio.api.common.v1 import Payload, Payloads

from mistral_offload.codecserver.options import CodecServerOptions


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
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > options.max_body_bytes:
            raise Refusal(413, f"the body exceeds the limit of {options.max_body_bytes:,} bytes")
    try:
        payloads = list(Parse(bytes(body), Payloads()).payloads)
    # protobuf raises SystemError for lone surrogates.
    except (ParseError, ValueError, RecursionError, SystemError):
        raise Refusal(
            400, 'the body must be JSON like {"payloads": [{"metadata": {…}, "data": "<base64>"}]}'
        ) from None
    if len(payloads) > options.max_payloads:
        raise Refusal(
            413, f"{len(payloads):,} payloads exceed the limit of {options.max_payloads:,}"
        )
    return payloads


def write_payloads(payloads: list[Payload]) -> Response:
    """Return a response of the protocol."""
    text = MessageToJson(Payloads(payloads=payloads), indent=None)
    return Response(text, media_type="application/json", headers={"cache-control": "no-store"})


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
