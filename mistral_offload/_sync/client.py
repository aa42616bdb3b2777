# Generated from mistral_offload/_async/client.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 82817bb3ee1b0708

"""Context manager methods of a client."""

from __future__ import annotations

from types import TracebackType

from typing_extensions import Self

from mistral_offload._sync.http import SyncHttp


class SyncMistral:
    """The part of ``Mistral`` that closes its connections."""

    _http: SyncHttp

    def close(self) -> None:
        """Close the connections this client opened; calling it again does nothing."""
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
