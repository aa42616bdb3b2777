"""The life of a client: using it as a context, and closing it."""

from __future__ import annotations

from types import TracebackType

from typing_extensions import Self

from mistral_offload._async.http import AsyncHttp


class AsyncMistral:
    """The half of ``Mistral`` that opens and closes connections."""

    _http_async: AsyncHttp

    async def close_async(self) -> None:
        """Close the connections this client opened; may be called more than once."""
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
