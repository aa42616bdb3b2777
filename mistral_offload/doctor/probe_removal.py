"""Whether the probe can be removed, which nothing but deleting blobs needs."""

from __future__ import annotations

from collections.abc import Iterable

from mistral_offload.config import StorageProvider
from mistral_offload.doctor.findings import Check, Verdict, not_checked, ok, warning
from mistral_offload.doctor.probe import Probe
from mistral_offload.errors import MistralOffloadError, StorageAccessDeniedError

_AZURE = "delete (d) in the shared access signature, or the role 'Storage Blob Data Contributor'"
_PERMISSION = {
    StorageProvider.S3: "s3:DeleteObject",
    StorageProvider.AZURE: _AZURE,
    StorageProvider.GCS: "storage.objects.delete",
    StorageProvider.LOCAL: "writing to the directory",
}


class CleaningChecks:
    """Removes what the other checks of a store have written.

    Args:
        probe: what was written.
        after: checks to wait for: all that may still use it.
    """

    def __init__(self, probe: Probe, *, after: Iterable[Check]) -> None:
        self._probe = probe
        self._after = tuple(check.id for check in after)

    def checks(self) -> list[Check]:
        """One, the last of those that write."""
        return [self._probe.place.check("delete", "deletes", self._delete, after=self._after)]

    async def _delete(self) -> Verdict:
        if not self._probe.left:
            return not_checked("nothing was written")
        try:
            removed = await self._probe.remove()
        except MistralOffloadError as error:
            remedy = f"delete by hand: {', '.join(self._probe.left)}"
            if isinstance(error, StorageAccessDeniedError):
                permission = _PERMISSION[self._probe.place.config.storage_provider]
                remedy += f"; 'mistral-offload blobs rm' and 'gc' need {permission}"
            return warning(str(error), remedy)
        return ok(f"removed all {removed} blobs that were written")
