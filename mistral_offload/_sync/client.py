# Generated from mistral_offload/_async/client.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: e06c331a66d2ae39

"""Context manager methods of a client."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from typing_extensions import Self

if TYPE_CHECKING:
    from mistral_offload._sync.http import SyncHttp


class SyncMistral:
    """The part of ``Mistral`` that closes its connections."""

    _http: SyncHttp | None = None
    """None until the first use of ``workflows``."""

    def close(self) -> None:
        """Close the connections this client opened; calling it again does nothing."""
        if self._http is not None:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
