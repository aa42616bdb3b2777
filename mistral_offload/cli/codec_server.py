"""``mistral-offload codec-server``: decodes payloads for Temporal's UI and CLI, until Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from mistral_offload._credentials import read_credential, strip_credential
from mistral_offload.cli.interrupts import end_by_itself
from mistral_offload.cli.output import JsonOption, Output
from mistral_offload.cli.settings import (
    ConfigOption,
    load_settings,
    parse_megabytes_option,
    parse_size_or_zero_option,
)
from mistral_offload.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mistral_offload.codecserver import CodecServerOptions

TOKEN_VARIABLE = "MISTRAL_OFFLOAD_CODEC_TOKEN"  # noqa: S105 - the name of a variable

_STOP_SECONDS = 1
_SHORTEST_TOKEN = 16


class Auth(str, Enum):
    """The authentication required of requests."""

    BEARER = "bearer"
    NONE = "none"


def codec_server(
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to bind; 0 takes a free one.")] = 8888,
    ui_origin: Annotated[
        list[str] | None,
        typer.Option(help="Allow pages of this origin, scheme://host:port. May be repeated."),
    ] = None,
    auth: Annotated[Auth, typer.Option(help="none requires a loopback address.")] = Auth.BEARER,
    token_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help=f"File with the token; by default, the variable {TOKEN_VARIABLE}.",
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Serve only this namespace. May be repeated; by default, all."),
    ] = None,
    preview_bytes: Annotated[
        int,
        typer.Option(
            parser=parse_size_or_zero_option,
            metavar="SIZE",
            help="Show longer values as a preview with a link; bytes, or with a unit as in 64KiB.",
        ),
    ] = 32 * 1024,
    link_seconds: Annotated[int, typer.Option(min=1, help="Lifetime of such a link.")] = 900,
    largest_bytes: Annotated[
        int,
        typer.Option(
            "--largest-mb",
            parser=parse_megabytes_option,
            metavar="SIZE",
            help="The largest value to decode, in MB, or with a unit as in 64MiB.",
        ),
    ] = 256,
    public_url: Annotated[
        str | None, typer.Option(help="Base URL of links, if a proxy is in front.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode payloads for Temporal's UI and CLI: /decode, /encode, /download, /health.

    Uses the worker's variables, such as its store and keys. Ctrl-C (SIGINT) and SIGTERM stop it,
    with exit code 0. The token is not an option, since options are visible in the process list.
    """
    from mistral_offload.codecserver import CodecServerOptions, create_app
    from mistral_offload.devserver.ports import bind, format_address, resolve_host

    ip = resolve_host(host)
    if auth is Auth.NONE and not ip_address(ip).is_loopback:
        raise ConfigurationError(
            f"--auth none is for this machine only, and {host} is not a loopback address: anyone "
            "who can reach it could read every payload"
        )
    options = CodecServerOptions(
        token=_read_token(token_file) if auth is Auth.BEARER else None,
        ui_origins=tuple(ui_origin or ()),
        namespaces=frozenset(namespace or ()),
        preview_bytes=preview_bytes,
        link_seconds=link_seconds,
        max_decoded_bytes=largest_bytes,
        public_url=public_url,
    )
    encoder = load_settings(config).payload_encoder(
        largest_bytes=options.max_decoded_bytes, renews=False
    )
    with bind(ip, port) as listener:
        listener.listen()  # before the address is printed, so that early requests wait
        url = f"http://{format_address(ip, listener.getsockname()[1])}"
        Output(as_json).show(
            {"url": url, "auth": auth.value, "ui_origins": options.ui_origins},
            lambda console: _announce(console, url, auth, options),
        )
        _serve(create_app(encoder, options), listener)


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    import uvicorn

    from mistral_offload.codecserver.http_server import server_config

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    end_by_itself()
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn stops, then raises the signal again
        signal.signal(number, signal.default_int_handler)
    config = server_config(app, stop_seconds=_STOP_SECONDS)
    config.access_log = False  # the paths of downloads contain links
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _read_token(file: Path | None) -> SecretStr:
    if file is not None:
        token = read_credential(file, "--token-file")
    else:
        token = os.environ.get(TOKEN_VARIABLE, "")
        token = strip_credential(token, TOKEN_VARIABLE) if token else ""
    if len(token) < _SHORTEST_TOKEN:
        source = TOKEN_VARIABLE if file is None else str(file)
        raise ConfigurationError(
            f"{source} holds no token of at least {_SHORTEST_TOKEN} characters: set one, for "
            "example from 'mistral-offload keys new'; or use --auth none on this machine only"
        )
    return SecretStr(token)


def _announce(console: Console, url: str, auth: Auth, options: CodecServerOptions) -> None:
    console.print("Codec server for Temporal's UI and CLI", style="bold", end=": ")
    console.print(url)
    if auth is Auth.NONE:
        console.print("Anyone on this machine can read every payload.", style="bold red")
    if options.ui_origins:
        console.print(f"Allowed pages: {', '.join(options.ui_origins)}")
    else:
        console.print("Allowed pages: none; allow Temporal's UI with --ui-origin.")
    bearer = "" if auth is Auth.NONE else f' --codec-auth "Bearer ${TOKEN_VARIABLE}"'
    console.print(f"\ntemporal workflow show -w ID --codec-endpoint {url}{bearer}\n", markup=False)
    console.print("Press Ctrl-C to stop.")
