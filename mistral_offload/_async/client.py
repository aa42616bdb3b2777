"""Context manager methods of a client."""

from __future__ import annotations

from types import TracebackType

from typing_extensions import Self

from mistral_offload._async.http import AsyncHttp


class AsyncMistral:
    """The part of ``Mistral`` that closes its connections."""

    _http_async: AsyncHttp

    async def close_async(self) -> None:
        """Close the connections this client opened; calling it again does nothing."""
        await self._http_async.close_async()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close_async()
