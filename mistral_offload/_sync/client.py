# Generated from mistral_offload/_async/client.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: b78e3c580b13126f

"""The life of a client: using it as a context, and closing it."""

from __future__ import annotations

from types import TracebackType

from typing_extensions import Self

from mistral_offload._sync.http import SyncHttp


class SyncMistral:
    """The half of ``Mistral`` that opens and closes connections."""

    _http: SyncHttp

    def close(self) -> None:
        """Close the connections this client opened; may be called more than once."""
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
