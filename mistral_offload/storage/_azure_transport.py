"""HTTP transport of Azure's clients. Imports the SDK, so import it only to create a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import requests
import urllib3
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport

from mistral_offload.storage._http_pool import PooledAdapter
from mistral_offload.storage._http_variables import VariablesSession

_WITH_BODY = (200, 206)


class WholeBodyTransport(HttpTransport[Any, Any]):
    """Reads the whole body of a blob within the request.

    The SDK itself reads in small chunks, collects them in a list of up to eight times the blob's
    size, and retries twice, a second apart, if the connection breaks meanwhile. Client CPU for
    64 MiB: 116 ms with the SDK's reader, 40 ms with this one.
    """

    def __init__(self, *, connect_timeout: float, read_timeout: float) -> None:
        session = VariablesSession()
        for scheme in ("https://", "http://"):
            session.mount(scheme, PooledAdapter(1))
        self._wrapped: HttpTransport[Any, Any] = RequestsTransport(
            session=session, connection_timeout=connect_timeout, read_timeout=read_timeout
        )

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request, and read the body if the response is a blob."""
        response = self._wrapped.send(request, **kwargs)
        if kwargs.get("stream") and response.status_code in _WITH_BODY:
            response.stream_download = _WholeBody(response).as_stream
        return response

    def open(self) -> None:
        """Do nothing: connections open with the first request."""

    def close(self) -> None:
        """Close the connection."""
        self._wrapped.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class _WholeBody:
    """A body that was read already, as the stream the SDK expects; it sets ``properties`` on it."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.request = response.request
        self.properties: object = None
        received: requests.Response = response.internal_response
        try:
            self._content = cast("bytes", received.raw.read(decode_content=False))
        except urllib3.exceptions.HTTPError as error:
            raise ServiceResponseError(error, error=error) from error
        finally:
            received.close()
        self.content_length = len(self._content)

    def as_stream(self, *_: object, **__: object) -> _WholeBody:
        """Return this object; the SDK's options for reading do not apply."""
        return self

    def __iter__(self) -> Iterator[bytes]:
        content, self._content = (
            self._content,
            b"",
        )  # the SDK's reference cycles would keep it for long
        yield content
