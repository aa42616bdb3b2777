"""Request bodies of the protocol: ``Payloads`` as proto3 JSON, of a bounded size."""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.requests import Request
from starlette.responses import Response
from temporalio.api.common.v1 import Payload, Payloads

from mistral_offload.codecserver.options import CodecServerOptions


class Refusal(Exception):
    """A request that is not answered as asked; ends as its status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


async def read_payloads(request: Request, options: CodecServerOptions) -> list[Payload]:
    """The payloads of a request.

    Raises:
        Refusal: too large, too many, or not what the protocol says.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > options.body_bytes:
            raise Refusal(413, f"the body is over the limit of {options.body_bytes:,} bytes")
    try:
        payloads = list(Parse(bytes(body), Payloads()).payloads)
    except (ParseError, ValueError, RecursionError, SystemError):  # the last by halves of pairs
        raise Refusal(
            400, 'the body must be JSON like {"payloads": [{"metadata": {…}, "data": "<base64>"}]}'
        ) from None
    if len(payloads) > options.payloads:
        raise Refusal(413, f"{len(payloads):,} payloads; at most {options.payloads:,} are taken")
    return payloads


def write_payloads(payloads: list[Payload]) -> Response:
    """An answer of the protocol."""
    text = MessageToJson(Payloads(payloads=payloads), indent=None)
    return Response(text, media_type="application/json", headers={"cache-control": "no-store"})


def read_namespace(request: Request, options: CodecServerOptions) -> str:
    """The namespace a request is about: in front of the path, or in its header.

    Raises:
        Refusal: it says none, or one that this server does not answer for.
    """
    namespace = request.path_params.get("namespace") or request.headers.get("x-namespace")
    if not namespace:
        raise Refusal(400, "say which namespace the payloads are of: send the header X-Namespace")
    require_namespace(namespace, options)
    return str(namespace)


def require_namespace(namespace: str, options: CodecServerOptions) -> None:
    """Let only the namespaces through that the options name.

    Raises:
        Refusal: it is another one.
    """
    if options.namespaces and namespace not in options.namespaces:
        raise Refusal(403, f"this server does not answer for namespace {namespace!r}")
