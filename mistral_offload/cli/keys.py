"""``mistral-offload keys``: keys for payload encryption."""

from __future__ import annotations

import secrets
from enum import Enum
from typing import Annotated

import typer

keys = typer.Typer(help="Keys for payload encryption.", no_args_is_help=True)


class KeyBits(str, Enum):
    """The sizes of an AES key."""

    AES_128 = "128"
    AES_192 = "192"
    AES_256 = "256"


@keys.command()
def new(
    bits: Annotated[KeyBits, typer.Option(help="Size of the key.")] = KeyBits.AES_256,
) -> None:
    """Print a new random key, in hex, and nothing else.

    Clients and workers need the same one, as main_key or TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY.
    Whoever has it can read the payloads; without it nobody can.
    """
    typer.echo(secrets.token_hex(int(bits.value) // 8))


@keys.callback()
def group() -> None:
    """Keys for payload encryption."""
