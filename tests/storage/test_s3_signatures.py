"""Signatures computed from prepared parts are those of botocore, or botocore computes them."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

import pytest
import time_machine

from mistral_offload.config import BlobStorageConfig
from mistral_offload.storage.s3 import S3Store


def test_a_signature_is_that_of_botocore_for_every_secret_region_and_day() -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    from mistral_offload.storage._s3_signatures import KnownDigestAuth, SigningKey, signable

    key = SigningKey()
    url = "https://b.example.com/a%20b/%C3%BC?partNumber=10&uploadId=a%2Bb"
    headers = {"Host": "b.example.com", "x-amz-meta-a": " two  words ", "User-Agent": "not signed"}
    signatures: set[bytes] = set()
    for secret, token, region, day in (
        ("secret", None, "r-1", 4),
        ("secret", None, "r-1", 5),
        ("other", None, "r-1", 5),
        ("other", "token", "r-2", 5),
        ("secret", None, "r-1", 4),
    ):
        credentials = Credentials("AKID", secret, token)
        with time_machine.travel(datetime(2026, 5, day, tzinfo=timezone.utc), tick=False):
            request = AWSRequest("GET", url, dict(headers))
            S3SigV4Auth(credentials, "s3", region).add_auth(request)
            ours = KnownDigestAuth(credentials, "s3", region).sign(
                "GET",
                "/a%20b/%C3%BC",
                "uploadId=a%2Bb&partNumber=10",
                signable(headers),
                key,
            )
        added = {name.lower(): value.decode() for name, value in ours.items()}
        theirs = {name.lower(): value for name, value in request.headers.items()}
        assert added == {name: theirs[name] for name in added}
        assert theirs.keys() - added.keys() == {name.lower() for name in headers}
        signatures.add(ours["Authorization"])
    assert len(signatures) == 4


def test_what_botocore_signs_otherwise_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A later version may sign other headers, and a library may change what is signed."""
    from botocore.auth import SigV4Auth

    signed_before = SigV4Auth.canonical_headers  # type: ignore[attr-defined]

    def signed_otherwise(self: SigV4Auth, headers: object) -> str:
        return f"{signed_before(self, headers)}\nx-amz-other:1"

    config = BlobStorageConfig(
        bucket_name="b", region_name="r-1", aws_access_key_id="AKID", aws_secret_access_key="secret"
    )
    caplog.set_level(logging.DEBUG, "mistral_offload.storage")
    for is_changed in (False, True):
        with monkeypatch.context() as patch, S3Store(config) as store:
            if is_changed:
                patch.setattr(SigV4Auth, "canonical_headers", signed_otherwise)
            requests = store._requests  # pyright: ignore[reportPrivateUsage]
            template = requests._template("GetObject", "k")  # pyright: ignore[reportPrivateUsage]
            assert (template is None) is is_changed
    assert "left to boto3: botocore signs its requests in another way" in caplog.text
