"""What an operation of the REST API is, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from mistral_offload.api.request_inputs import EncodedPart
from mistral_offload.api.response_values import Found

T = TypeVar("T")

EVENT_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """How one operation looks on the wire.

    Attributes:
        name: dotted name of the method, for error messages.
        method: HTTP method.
        path: path with ``{placeholders}``.
        returns: model of the body of a successful answer, or of a frame of a stream; None when it
            has none.
        repeatable: whether it does no harm when it arrives twice.
        encodes: where in the body the user's value is, when there is one to encode.
        decodes: finds what is encoded in an answer, or in the data of a frame.
        lenient: whether what cannot be decoded stays as it came, with a warning in the log, because
            the rest of the answer is of use without it.
        accept: media type of the answer.
    """

    name: str
    method: str
    path: str
    returns: type[T]
    repeatable: bool = False
    encodes: EncodedPart | None = None
    decodes: Callable[[Any], Iterator[Found]] | None = None
    lenient: bool = False
    accept: str = "application/json"

    def url_path(self, parameters: Mapping[str, str]) -> str:
        """The path with its placeholders filled, each value escaped as one path segment."""
        return self.path.format_map({name: segment(text) for name, text in parameters.items()})


def segment(text: str) -> str:
    """One path segment; ``.`` and ``..`` are escaped too, since URLs give them a meaning."""
    escaped = quote(text, safe=":")
    return escaped.replace(".", "%2E") if escaped in {".", ".."} else escaped


def history(operation: Operation[T], decode_payloads: bool) -> Operation[T]:
    """The operation, its answer left as Temporal keeps it when that is asked for."""
    return operation if decode_payloads else replace(operation, decodes=None)
