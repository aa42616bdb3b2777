"""Operations of the REST API, described as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from mistral_offload.api.request_inputs import InputLocation
from mistral_offload.api.response_values import EncodedValue

T = TypeVar("T")

EVENT_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One operation of the REST API.

    Attributes:
        name: dotted name of the client method, used in error messages.
        method: HTTP method.
        path: URL path with ``{placeholders}``.
        returns: model of the body of a successful response, or of one frame of a stream; ``None``'s
            type when there is no body.
        idempotent: True when sending the request twice does no harm, so that it may be retried.
        input: location of the user's value in the request body; None when there is none to encode.
        find_encoded: function that yields the encoded values of a response body, or of the data of
            a frame; None when there are none.
        lenient: True when the response is useful even if a value in it cannot be decoded; that
            value stays encoded, and a warning is logged.
        accept: media type of the response.
    """

    name: str
    method: str
    path: str
    returns: type[T]
    idempotent: bool = False
    input: InputLocation | None = None
    find_encoded: Callable[[Any], Iterator[EncodedValue]] | None = None
    lenient: bool = False
    accept: str = "application/json"

    def url_path(self, parameters: Mapping[str, str]) -> str:
        """Return the path with its placeholders filled, each value escaped as one path segment."""
        return self.path.format_map({name: _segment(text) for name, text in parameters.items()})


def with_decoding(operation: Operation[T], enabled: bool) -> Operation[T]:
    """Return the operation; unless enabled, its response is left as Temporal stores it."""
    return operation if enabled else replace(operation, find_encoded=None)


def _segment(text: str) -> str:
    # "." and ".." are escaped too, since URLs give them a meaning.
    escaped = quote(text, safe=":")
    return escaped.replace(".", "%2E") if escaped in {".", ".."} else escaped
