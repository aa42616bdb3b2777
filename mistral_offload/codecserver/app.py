"""The endpoints of the codec server, as a Starlette app."""

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

from mistral_offload.codecserver.access import access_checks, error_response
from mistral_offload.codecserver.bodies import (
    Refusal,
    read_namespace,
    read_payloads,
    require_namespace,
    write_payloads,
)
from mistral_offload.codecserver.links import LinkRefusedError, Links, LinkTarget
from mistral_offload.codecserver.options import CodecServerOptions
from mistral_offload.codecserver.payload_codecs import PayloadCodecs, without_secrets
from mistral_offload.codecserver.previews import error_payload, is_text, preview
from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    PayloadError,
    StorageUnavailableError,
)
from mistral_offload.payload.encoder import PayloadEncoder

_logger = logging.getLogger("mistral_offload.codec_server")


def create_app(encoder: PayloadEncoder, options: CodecServerOptions) -> Starlette:
    """Return the codec server's app.

    Args:
        encoder: the workers' encoder; its ``largest_bytes`` limits the size of decoded values.
        options: access and limits.
    """
    codecs = PayloadCodecs(encoder, max_concurrent=options.max_concurrent)
    endpoints = _Endpoints(codecs, Links(options.token, seconds=options.link_seconds), options)
    by_name: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "decode": endpoints.decode,
        "encode": endpoints.encode,
        "download": endpoints.decode_whole,
    }
    return Starlette(
        routes=[
            Route("/health", _health),
            Route("/download", endpoints.download, methods=["GET"]),
            *(
                Route(f"{start}/{name}", endpoint, methods=["POST"])
                for start in ("", "/{namespace}")
                for name, endpoint in by_name.items()
            ),
        ],
        middleware=access_checks(options),
        exception_handlers={Refusal: _handle_refusal, MistralOffloadError: _handle_error},
    )


class _Endpoints:
    def __init__(self, codecs: PayloadCodecs, links: Links, options: CodecServerOptions) -> None:
        self._codecs = codecs
        self._links = links
        self._options = options

    async def decode(self, request: Request) -> Response:
        """Decode payloads for display: large ones become previews."""
        namespace = read_namespace(request, self._options)
        payloads = await read_payloads(request, self._options)

        async def show(payload: Payload) -> Payload:
            try:
                decoded = await self._codecs.decode(payload, namespace=namespace)
            except MistralOffloadError as error:
                _logger.warning("cannot decode a payload of namespace %s: %s", namespace, error)
                return error_payload(error)
            if len(decoded.data) <= self._options.preview_bytes:
                return decoded
            link = self._link(request, payload, namespace)
            return await asyncio.to_thread(preview, decoded, link=link)

        return await write_payloads(await asyncio.gather(*map(show, payloads)))

    async def decode_whole(self, request: Request) -> Response:
        """Decode payloads in full; the limit applies to all of them together."""
        namespace = read_namespace(request, self._options)
        whole: list[Payload] = []
        for payload in await read_payloads(request, self._options):
            whole.append(await self._codecs.decode(payload, namespace=namespace))
            if sum(len(each.data) for each in whole) > self._options.max_decoded_bytes:
                limit = self._options.max_decoded_bytes
                raise Refusal(413, f"the response would exceed the limit of {limit:,} bytes")
        return await write_payloads(whole)

    async def encode(self, request: Request) -> Response:
        """Encode payloads in a form that workers can decode."""
        read_namespace(request, self._options)
        payloads = await read_payloads(request, self._options)
        return await write_payloads(await asyncio.gather(*map(self._codecs.encode, payloads)))

    async def download(self, request: Request) -> Response:
        """Return the value that a link refers to, as a file."""
        target = self._links.read(request.query_params.get("link", ""))
        require_namespace(target.namespace, self._options)
        decoded = await self._codecs.decode(target.payload, namespace=target.namespace)
        text = is_text(decoded)
        digest = (await asyncio.to_thread(hashlib.sha256, decoded.data)).hexdigest()
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
        link = self._links.make(LinkTarget(without_secrets(payload), namespace))
        if link is None:
            return None
        base = (self._options.public_url or str(request.base_url)).rstrip("/")
        return f"{base}/download?link={quote(link)}"


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _handle_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for this class
    return error_response(error.status, error.text)


async def _handle_error(request: Request, error: Exception) -> Response:
    if isinstance(error, LinkRefusedError):
        status = 403
    elif isinstance(error, BlobNotFoundError):
        status = 404
    elif isinstance(error, PayloadError):
        status = 422
    else:
        status = 503 if isinstance(error, StorageUnavailableError) else 502
    return error_response(status, f"{type(error).__name__}: {error}")
