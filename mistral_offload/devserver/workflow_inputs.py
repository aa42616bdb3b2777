"""Inputs of requests: an envelope that the sender has encoded, or plain JSON."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mistral_offload.devserver.jsontext import compact
from mistral_offload.devserver.refusals import invalid

EncodingOption = Literal["offloaded", "encrypted", "encrypted-partial", "compressed"]


@dataclass(frozen=True)
class Input:
    """The bytes to deliver, and the transforms applied to them.

    Attributes:
        empty: True if the request has no input.
    """

    data: bytes
    options: tuple[EncodingOption, ...] = ()
    empty: bool = False


class Envelope(BaseModel):
    """An encoded input: ``NetworkEncodedInput``."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    b64payload: str
    encoding_options: list[EncodingOption] = []
    empty: bool = False

    def open(self) -> Input:
        """Return the input in the envelope.

        Raises:
            Refusal: its data is not base64 (422).
        """
        try:
            data = base64.b64decode(self.b64payload)
        except (binascii.Error, ValueError) as error:
            raise invalid(("body", "b64payload"), str(error), "base64_invalid") from error
        return Input(data, tuple(self.encoding_options), self.empty)


def plain_input(given: str | None) -> Input:
    """Return the input for the text of a JSON value; None means no value at all."""
    return Input(b"null", empty=True) if given is None else Input(compact(given).encode())


def handler_input(given: str | None) -> Input:
    """Return the input of a signal, query or update: an envelope, or any other JSON value.

    Raises:
        Refusal: it is an envelope whose data is not base64 (422).
    """
    if given is not None and '"b64payload"' in given:
        try:
            envelope = Envelope.model_validate_json(given)
        except ValidationError:
            pass  # resembles an envelope, but is an ordinary value
        else:
            return envelope.open()
    return plain_input(given)
