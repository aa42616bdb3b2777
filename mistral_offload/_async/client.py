"""Context manager methods of a client."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from typing_extensions import Self

if TYPE_CHECKING:
    from mistral_offload._async.http import AsyncHttp


class AsyncMistral:
    """The part of ``Mistral`` that closes its connections."""

    _http_async: AsyncHttp | None = None
    """None until the first use of ``workflows``."""

    async def close_async(self) -> None:
        """Close the connections this client opened; calling it again does nothing."""
        if self._http_async is not None:
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
