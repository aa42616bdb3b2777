"""What a store lets this process do, each operation tried on a probe."""

from __future__ import annotations

from mistral_offload.config import StorageProvider
from mistral_offload.doctor.findings import Check, Verdict, failed, ok, warning
from mistral_offload.doctor.probe import Probe
from mistral_offload.errors import StorageAccessDeniedError

_LIST_PERMISSION = {
    StorageProvider.S3: "s3:ListBucket on the bucket",
    StorageProvider.AZURE: "list (l) in the shared access signature, or the role 'Storage Blob "
    "Data Contributor'",
    StorageProvider.GCS: "storage.objects.list",
    StorageProvider.LOCAL: "the right to read the directory",
}


class AccessChecks:
    """Whether a store answers, and which operations it allows."""

    def __init__(self, probe: Probe, *, may_write: bool) -> None:
        self._probe = probe
        self._place = probe.place
        self._may_write = may_write

    def checks(self) -> list[Check]:
        """Reading and, where that is allowed, writing."""
        check = self._place.check
        # Keys name the namespace, which the platform may have to tell.
        found = [check("reach", "answers", self._reach, after=("platform.answer",))]
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
        """Reading tells the most; but Google does not tell a missing bucket from a missing blob."""
        refusals: list[StorageAccessDeniedError] = []
        for ask in (self._probe.read_absent, self._probe.listed):
            try:
                await ask()
            except StorageAccessDeniedError as error:
                refusals.append(error)
        # S3 and Google refuse to say that a blob is not there to those who may not list. Whoever
        # may write all the same has valid credentials.
        if len(refusals) == 2 and not await self._is_let_in():
            if self._may_write or self._place.is_read_also:
                raise refusals[0]
            return failed(
                str(refusals[0]),
                "mend the credentials; or leave out --read-only, for writing tells whether only "
                "the right to list is missing",
            )
        return ok(self._place.config.description)

    async def _is_let_in(self) -> bool:
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
            return ok("read what was written")
        return failed(
            "read something else than was written",
            "look for a proxy or gateway that changes bodies on their way",
        )

    async def _create_again(self) -> Verdict:
        if not await self._probe.create_again():
            return ok("a blob that is there is not written again")
        return warning(
            "the server ignores If-None-Match: what is there already is sent and written again",
            f"set {self._place.variables}__CONDITIONAL_WRITES=false, so that a put asks first",
        )

    async def _list(self) -> Verdict:
        try:
            listed = await self._probe.listed()
        except StorageAccessDeniedError as error:
            return warning(
                f"{error}: a blob that is missing is told as a missing permission, and "
                "'mistral-offload blobs' cannot work",
                f"allow {_LIST_PERMISSION[self._place.config.storage_provider]}",
            )
        if self._probe.written_between is not None and self._probe.key not in listed:
            return warning(
                "the blob that was just written is not listed",
                "wait before what is listed is taken for all there is ('mistral-offload blobs gc')",
            )
        return ok("lists what is there")
