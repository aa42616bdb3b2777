"""``mistral-offload keys``: creates keys for payload encryption."""

from __future__ import annotations

import secrets
from enum import Enum
from typing import Annotated

import typer

keys = typer.Typer(help="Create keys for payload encryption.", no_args_is_help=True)


class KeyBits(str, Enum):
    """The size of an AES key, in bits."""

    AES_128 = "128"
    AES_192 = "192"
    AES_256 = "256"


@keys.command()
def new(
    bits: Annotated[KeyBits, typer.Option(help="Size of the key, in bits.")] = KeyBits.AES_256,
) -> None:
    """Print a new random key, in hex, and nothing else.

    Clients and workers need the same key, as main_key or TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY.
    Anyone who has it can read the payloads; without it they cannot be read.
    """
    typer.echo(secrets.token_hex(int(bits.value) // 8))


@keys.callback()
def group() -> None:
    """Create keys for payload encryption."""
