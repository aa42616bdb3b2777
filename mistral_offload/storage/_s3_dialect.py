"""Parts of S3 that a server refuses: remembered after the first refusal, and left out since."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from mistral_offload.storage._s3_errors import error_code, http_status, may_refuse_headers

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.storage")

_TAKEN = "PreconditionFailed"


class Write(Protocol[T_co]):
    """One request that writes, with or without a condition and a checksum."""

    def __call__(self, *, condition: bool, checksum: bool) -> T_co:
        """Send the request."""
        ...


class Dialect:
    """Sends writes without the headers that the server of a bucket refuses.

    Args:
        bucket: name of the bucket, for the warnings.
        conditions: False for a server that is known to ignore conditions.

    Attributes:
        conditions: False if writes have no condition, so that the caller checks first.
        checksums: False if writes have no checksum. The SHA-256 of the body is signed instead.
    """

    def __init__(self, bucket: str, *, conditions: bool) -> None:
        self.conditions = conditions
        self.checksums = True
        self._refuses_unsigned = False
        self._bucket = bucket
        self._lock = threading.Lock()

    @property
    def takes_unsigned(self) -> bool:
        """Return False if bodies have to be signed."""
        return self.checksums and not self._refuses_unsigned

    def note_unsigned_refused(self) -> None:
        """Remember that the server refuses bodies that are not signed."""
        with self._lock:
            is_known, self._refuses_unsigned = self._refuses_unsigned, True
        if not is_known:
            _logger.info(
                "the server of s3 bucket %s takes no parts with a CRC32 and without a signature of "
                "their bytes: parts of large blobs are hashed with SHA-256",
                self._bucket,
            )

    def write(self, send: Write[T]) -> T:
        """Send a write that has no condition; without the checksum if the server refuses it."""
        from botocore.exceptions import ClientError

        checksum = self.checksums  # another thread may find it out meanwhile
        try:
            return send(condition=False, checksum=checksum)
        except ClientError as error:
            if not checksum or not may_refuse_headers(error):
                raise
            return self._send_with_less(send, error, [(False, False)], had_condition=False)

    def create(
        self, send: Write[object], exists: Callable[[], bool], *, trusts_refusal: bool
    ) -> bool:
        """Write a blob unless the key is taken; return True if it was written.

        Args:
            send: sends the write.
            exists: checks whether the key is taken, in one request.
            trusts_refusal: True if PreconditionFailed means that the key is taken. Some servers
                respond so to the last request of a multipart upload for other reasons, and then
                nothing is stored.
        """
        from botocore.exceptions import ClientError

        if not self.conditions:
            self.write(send)
            return True
        checksum = self.checksums
        try:
            send(condition=True, checksum=checksum)
            return True
        except ClientError as error:
            refusal = error
            status = http_status(error)
        if status == 412 and trusts_refusal and error_code(refusal) == _TAKEN:
            return False
        if status in (304, 409, 412):
            # 304: another word for 412. 409: a concurrent writer, who may still fail.
            if exists():
                return False
            if status == 409:
                raise refusal
            self.write(send)
            return True
        if not may_refuse_headers(refusal):
            raise refusal
        if exists():
            return False
        attempts = [(False, True), (True, False), (False, False)] if checksum else [(False, False)]
        try:
            self._send_with_less(send, refusal, attempts, had_condition=True)
        except ClientError as error:
            if http_status(error) != 412 or not exists():
                raise
            return False
        return True

    def _send_with_less(
        self,
        send: Write[T],
        refusal: ClientError,
        attempts: list[tuple[bool, bool]],
        *,
        had_condition: bool,
    ) -> T:
        """Send again with fewer headers, and remember which the server does not take.

        The first refusal is raised if it refuses every attempt.
        """
        from botocore.exceptions import ClientError

        for condition, checksum in attempts:
            try:
                sent = send(condition=condition, checksum=checksum)
            except ClientError as error:
                if not may_refuse_headers(error):
                    raise
                continue
            self._remember(conditions=condition or not had_condition, checksums=checksum)
            return sent
        raise refusal

    def _remember(self, *, conditions: bool, checksums: bool) -> None:
        with self._lock:
            no_conditions = self.conditions and not conditions
            no_checksums = self.checksums and not checksums
            self.conditions = self.conditions and conditions
            self.checksums = self.checksums and checksums
        if no_conditions:
            _logger.warning(
                "the server of s3 bucket %s does not support conditional writes: each put first "
                "checks whether the blob exists, and two concurrent writers may both write it",
                self._bucket,
            )
        if no_checksums:
            _logger.warning(
                "the server of s3 bucket %s refuses checksum headers: blobs are sent without "
                "them, and only the signature protects them in transit",
                self._bucket,
            )
