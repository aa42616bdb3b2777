"""The endpoints, as a starlette app."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload

from mistral_offload.codecserver.access import access, refusal
from mistral_offload.codecserver.bodies import (
    Refusal,
    read_namespace,
    read_payloads,
    require_namespace,
    write_payloads,
)
from mistral_offload.codecserver.links import Linked, LinkRefusedError, Links
from mistral_offload.codecserver.options import CodecServerOptions
from mistral_offload.codecserver.payload_codecs import PayloadCodecs, without_secrets
from mistral_offload.codecserver.previews import explain, is_text, preview
from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    PayloadError,
    StorageUnavailableError,
)
from mistral_offload.payload.encoder import PayloadEncoder

_logger = logging.getLogger(__name__)


def create_app(encoder: PayloadEncoder, options: CodecServerOptions) -> Starlette:
    """The codec server's app.

    Args:
        encoder: what workers do to payloads; its own ``largest_bytes`` bounds what is decoded.
        options: who may ask, and how much.
    """
    codecs = PayloadCodecs(encoder, at_once=options.at_once)
    endpoints = _Endpoints(codecs, Links(options.token, seconds=options.link_seconds), options)
    asked: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "decode": endpoints.decode,
        "encode": endpoints.encode,
        "download": endpoints.decode_whole,
    }
    return Starlette(
        routes=[
            Route("/health", _answer_health),
            Route("/download", endpoints.download, methods=["GET"]),
            *(
                Route(f"{start}/{name}", endpoint, methods=["POST"])
                for start in ("", "/{namespace}")
                for name, endpoint in asked.items()
            ),
        ],
        middleware=access(options),
        exception_handlers={Refusal: _answer_refusal, MistralOffloadError: _answer_error},
    )


class _Endpoints:
    def __init__(self, codecs: PayloadCodecs, links: Links, options: CodecServerOptions) -> None:
        self._codecs = codecs
        self._links = links
        self._options = options

    async def decode(self, request: Request) -> Response:
        """Payloads as a page can show them: large ones as previews."""
        namespace = read_namespace(request, self._options)
        payloads = await read_payloads(request, self._options)

        async def show(payload: Payload) -> Payload:
            try:
                decoded = await self._codecs.decode(payload, namespace=namespace)
            except MistralOffloadError as error:
                _logger.warning("a payload of namespace %s: %s", namespace, error)
                return explain(error)
            if len(decoded.data) <= self._options.preview_bytes:
                return decoded
            link = self._link(request, payload, namespace)
            return preview(decoded, link=link)

        return write_payloads(await asyncio.gather(*map(show, payloads)))

    async def decode_whole(self, request: Request) -> Response:
        """Payloads whole, up to the largest that may be decoded, all of them together."""
        namespace = read_namespace(request, self._options)
        whole: list[Payload] = []
        for payload in await read_payloads(request, self._options):
            whole.append(await self._codecs.decode(payload, namespace=namespace))
            if sum(len(each.data) for each in whole) > self._options.decoded_bytes:
                raise Refusal(413, f"over {self._options.decoded_bytes:,} bytes in one answer")
        return write_payloads(whole)

    async def encode(self, request: Request) -> Response:
        """Payloads as a worker reads them."""
        read_namespace(request, self._options)
        payloads = await read_payloads(request, self._options)
        return write_payloads(await asyncio.gather(*map(self._codecs.encode, payloads)))

    async def download(self, request: Request) -> Response:
        """The value that a link stands for, as a file."""
        linked = self._links.read(request.query_params.get("link", ""))
        require_namespace(linked.namespace, self._options)
        decoded = await self._codecs.decode(linked.payload, namespace=linked.namespace)
        text = is_text(decoded)
        digest = hashlib.sha256(decoded.data).hexdigest()
        return Response(
            decoded.data,
            media_type="application/json" if text else "application/octet-stream",
            headers={
                "content-disposition": f'attachment; filename="payload-{digest[:12]}'
                f'{".json" if text else ".bin"}"',
                "cache-control": "no-store",
                "x-content-type-options": "nosniff",
                "content-security-policy": "sandbox",
            },
        )

    def _link(self, request: Request, payload: Payload, namespace: str) -> str | None:
        link = self._links.make(Linked(without_secrets(payload), namespace))
        if link is None:
            return None
        base = (self._options.public_url or str(request.base_url)).rstrip("/")
        return f"{base}/download?link={quote(link)}"


async def _answer_health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - it is registered for this class
    return refusal(error.status, error.text)


async def _answer_error(request: Request, error: Exception) -> Response:
    if isinstance(error, LinkRefusedError):
        status = 403
    elif isinstance(error, BlobNotFoundError):
        status = 404
    elif isinstance(error, PayloadError):
        status = 422
    else:
        status = 503 if isinstance(error, StorageUnavailableError) else 502
    return refusal(status, f"{type(error).__name__}: {error}")
