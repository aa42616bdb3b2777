"""How Azure's clients send and receive bytes. Imports the SDK: only for where a client is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import requests
import urllib3
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport

from mistral_offload.storage._http_pool import PooledAdapter

_WITH_BODY = (200, 206)


class WholeBodyTransport(HttpTransport[Any, Any]):
    """Reads each blob at once, within the request.

    The SDK reads in small chunks, lets a list grow to eight times the blob's size for them, and
    when the connection breaks meanwhile it asks twice more by itself, a second apart. Client CPU
    for 64 MiB: 116 ms its way, 40 ms this way.
    """

    def __init__(self, *, connect_timeout: float, read_timeout: float) -> None:
        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, PooledAdapter(1))
        self._wrapped: HttpTransport[Any, Any] = RequestsTransport(
            session=session, connection_timeout=connect_timeout, read_timeout=read_timeout
        )

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request; the body of a blob is here when this returns."""
        response = self._wrapped.send(request, **kwargs)
        if kwargs.get("stream") and response.status_code in _WITH_BODY:
            response.stream_download = _WholeBody(response).as_stream
        return response

    def open(self) -> None:
        """Connections open with the first request."""

    def close(self) -> None:
        """Close the connection."""
        self._wrapped.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class _WholeBody:
    """What the SDK takes for the stream of a response; it also hangs its properties here."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.request = response.request
        self.properties: object = None
        answered: requests.Response = response.internal_response
        try:
            self._content = cast("bytes", answered.raw.read(decode_content=False))
        except urllib3.exceptions.HTTPError as error:
            raise ServiceResponseError(error, error=error) from error
        finally:
            answered.close()
        self.content_length = len(self._content)

    def as_stream(self, *_: object, **__: object) -> _WholeBody:
        """Itself, whatever the SDK says about how to read."""
        return self

    def __iter__(self) -> Iterator[bytes]:
        content, self._content = self._content, b""  # the SDK's cycles would keep it for long
        yield content
