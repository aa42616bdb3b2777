"""One boto3 client per store, set up so that a body is hashed once and nothing waits for ever."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

_UPLOADS = ("PutObject", "UploadPart")
_SIGNER = "mistral-offload-s3v4"
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")


class Connected(NamedTuple):
    """A client, and the texts it knows that no error may quote."""

    client: S3Client
    secrets: tuple[str, ...]


def connect(config: BlobStorageConfig) -> Connected:
    """Make the client; costs some 60 ms, and may ask the machine's role for credentials.

    Raises:
        MissingExtraError: boto3 is not installed.
        StorageConfigError: boto3 refuses the endpoint, or there is no CA bundle where one is named.
    """
    try:
        import boto3
        from botocore.credentials import Credentials
    except ImportError as error:
        raise MissingExtraError("s3 storage", "s3") from error
    if config.ca_bundle is not None and not config.ca_bundle.exists():
        raise StorageConfigError(f"ca_bundle {str(config.ca_bundle)!r} does not exist")
    session = boto3.Session(
        aws_access_key_id=_revealed(config.aws_access_key_id),
        aws_secret_access_key=_revealed(config.aws_secret_access_key),
        aws_session_token=_revealed(config.aws_session_token),
        region_name=config.region_name,
        profile_name=config.profile_name,
    )

    def make(endpoint_url: str | None) -> S3Client:
        settings = _settings(config, endpoint_url)
        verify = str(config.ca_bundle) if config.ca_bundle else None
        try:
            return session.client(  # pyright: ignore[reportUnknownMemberType] - of other services
                "s3", endpoint_url=endpoint_url, config=settings, verify=verify
            )
        except ValueError:
            raise StorageConfigError(
                f"endpoint_url {endpoint_url!r} is not one that boto3 accepts"
            ) from None

    client = make(config.endpoint_url)
    found = client.meta.endpoint_url
    if config.endpoint_url is None and not is_aws(found):
        # The environment or the profile names another server: it wants the same treatment.
        client.close()
        client = make(found)
    _sign_with_known_digest(client)
    for operation in _UPLOADS:
        client.meta.events.register(f"before-sign.s3.{operation}", _send_at_once)
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
    secrets: list[str | None] = []
    credentials = session.get_credentials()
    if type(credentials) is Credentials:  # what a role hands out is fetched anew when it is read
        secrets = [credentials.access_key, credentials.secret_key, credentials.token]
    return Connected(client, tuple(secret for secret in secrets if secret))


def is_aws(endpoint_url: str) -> bool:
    """Whether an endpoint is one of Amazon's own."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_DOMAINS)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _settings(config: BlobStorageConfig, endpoint_url: str | None) -> Config:
    from botocore.config import Config

    style = config.addressing_style
    if style == "auto" and endpoint_url and not is_aws(endpoint_url):
        style = "path"  # only Amazon is sure to know a bucket by its host name
    return Config(
        connect_timeout=config.connect_timeout_seconds,
        read_timeout=config.read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},  # the store does that
        max_pool_connections=config.connections,
        tcp_keepalive=True,
        s3=None if style == "auto" else {"addressing_style": style},
        # A put brings its own checksum; what was read is checked against its key.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _sign_with_known_digest(client: S3Client) -> None:
    """Let the signature of a put reuse the SHA-256 that is sent as its checksum.

    botocore hashes the body for the signature itself, over https too once a checksum is given.
    Client CPU per MB of a 32 MB put, SHA-256 of the caller not counted: botocore's defaults
    1.08 ms; our checksum 0.87 ms; our checksum and this 0.24 ms. Leaving the payload unsigned
    would cost the same 0.3 ms, but a bucket's policy may forbid it.
    """
    from botocore.auth import AUTH_TYPE_MAPS, S3SigV4Auth

    class KnownDigestAuth(S3SigV4Auth):
        def payload(self, request: AWSRequest) -> str:
            checksum = request.headers.get("x-amz-checksum-sha256")
            return base64.b64decode(checksum).hex() if checksum else super().payload(request)

    AUTH_TYPE_MAPS.setdefault(_SIGNER, KnownDigestAuth)
    for operation in _UPLOADS:
        client.meta.events.register(f"choose-signer.s3.{operation}", cast("Any", _choose_signer))


def _choose_signer(
    signature_version: object, context: dict[str, object], **_: object
) -> str | None:
    plain = signature_version in ("v4", "s3v4") and context.get("auth_type") in (None, "v4", "s3v4")
    return _SIGNER if plain else None


def _send_at_once(request: AWSRequest, **_: object) -> None:
    """Do not wait for "100 Continue" before a body.

    After an early answer, such as the 412 of a blob that is there, botocore before 1.44 reads the
    next answer on that connection wrongly and stalls for a read timeout (boto/botocore#3755).
    """
    del request.headers["Expect"]


def _add_md5(request: AWSRequest, **_: object) -> None:
    """Send the checksum that every server knows; boto3 sends a CRC32, which older ones do not."""
    body = request.body
    if isinstance(body, bytes):
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = base64.b64encode(digest).decode()
