"""Checks of the operations that a store allows: each is tried on a probe."""

from __future__ import annotations

from collections.abc import Iterable

from mistral_offload.config import StorageProvider
from mistral_offload.doctor.findings import Check, Verdict, failed, not_checked, ok, warning
from mistral_offload.doctor.probe import Probe
from mistral_offload.errors import MistralOffloadError, StorageAccessDeniedError

_LIST_PERMISSION = {
    StorageProvider.S3: "s3:ListBucket on the bucket",
    StorageProvider.AZURE: "list (l) in the shared access signature, or the role 'Storage Blob "
    "Data Contributor'",
    StorageProvider.GCS: "storage.objects.list",
    StorageProvider.LOCAL: "read access to the directory",
}
_DELETE_PERMISSION = {
    StorageProvider.S3: "s3:DeleteObject",
    StorageProvider.AZURE: "delete (d) in the shared access signature, or the role 'Storage Blob "
    "Data Contributor'",
    StorageProvider.GCS: "storage.objects.delete",
    StorageProvider.LOCAL: "write access to the directory",
}


class AccessChecks:
    """Checks that a store can be reached, read, written and listed."""

    def __init__(self, probe: Probe, *, may_write: bool) -> None:
        self._probe = probe
        self._target = probe.target
        self._may_write = may_write

    def checks(self) -> list[Check]:
        """Return the checks that read and, if allowed, those that write."""
        check = self._target.check
        # Keys contain the namespace, which may have to come from the platform.
        found = [check("reach", "reachable", self._reach, after=("platform.answer",))]
        if self._may_write:
            found += [
                check("put", "writes", self._put, needs=("reach",)),
                check("get", "reads", self._get, needs=("put",)),
                check(
                    "create_if_absent", "creates once", self._create_again, needs=("put",),
                    after=("get",),
                ),
            ]  # fmt: skip
        found.append(check("list", "lists", self._list, needs=("reach",), after=("put",)))
        return found

    async def _reach(self) -> Verdict:
        """Read, then list: reads of Google do not tell a missing bucket from a missing blob."""
        refusals: list[StorageAccessDeniedError] = []
        for attempt in (self._probe.read_absent, self._probe.listed):
            try:
                await attempt()
            except StorageAccessDeniedError as error:
                refusals.append(error)
        # Without the permission to list, S3 and Google deny access to a blob that does not exist.
        # A successful write proves that the credentials are valid.
        if len(refusals) == 2 and not await self._can_write():
            if self._may_write or self._target.is_read_also:
                raise refusals[0]
            return failed(
                str(refusals[0]),
                "fix the credentials; or run without --read-only: a write shows whether only the "
                "permission to list is missing",
            )
        return ok(self._target.config.description)

    async def _can_write(self) -> bool:
        if not self._may_write:
            return False
        try:
            await self._probe.create()
        except StorageAccessDeniedError:
            return False
        return True

    async def _put(self) -> Verdict:
        await self._probe.create()
        return ok(f"wrote a blob under {self._probe.folder}")

    async def _get(self) -> Verdict:
        if await self._probe.is_readable():
            return ok("read back what was written")
        return failed(
            "read other bytes than were written",
            "look for a proxy or gateway that changes bodies in transit",
        )

    async def _create_again(self) -> Verdict:
        if not await self._probe.create_again():
            return ok("does not overwrite an existing blob")
        return warning(
            "the server ignores If-None-Match: a blob that exists is sent and written again",
            f"set {self._target.variables}__CONDITIONAL_WRITES=false, so that each put first "
            "checks whether the blob exists",
        )

    async def _list(self) -> Verdict:
        try:
            listed = await self._probe.listed()
        except StorageAccessDeniedError as error:
            return warning(
                f"{error}: a missing blob is reported as a missing permission, and "
                "'mistral-offload blobs' cannot work",
                f"allow {_LIST_PERMISSION[self._target.config.storage_provider]}",
            )
        if self._probe.written_between is not None and self._probe.key not in listed:
            return warning(
                "the blob that was just written is not listed",
                "wait before you rely on lists being complete ('mistral-offload blobs gc')",
            )
        return ok("lists blobs")


class RemovalChecks:
    """Deletes the blobs that other checks of a store have written.

    Args:
        probe: the blobs.
        after: checks to wait for: all that may still use them.
    """

    def __init__(self, probe: Probe, *, after: Iterable[Check]) -> None:
        self._probe = probe
        self._after = tuple(check.id for check in after)

    def checks(self) -> list[Check]:
        """Return the only check, to run after all that write."""
        return [self._probe.target.check("delete", "deletes", self._delete, after=self._after)]

    async def _delete(self) -> Verdict:
        if not self._probe.left:
            return not_checked("nothing was written")
        try:
            removed = await self._probe.remove()
        except MistralOffloadError as error:
            remedy = f"delete these keys by hand: {', '.join(self._probe.left)}"
            if isinstance(error, StorageAccessDeniedError):
                permission = _DELETE_PERMISSION[self._probe.target.config.storage_provider]
                remedy += f"; 'mistral-offload blobs rm' and 'gc' need {permission}"
            return warning(str(error), remedy)
        return ok(f"removed all {removed} blobs that were written")
