"""Creates the boto3 client of a store: each body is hashed once, every request has timeouts."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from mistral_offload._credentials import strip_credential
from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

_UPLOADS = ("PutObject", "UploadPart")
_CREDENTIALS = {
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
}
"""Attributes of botocore's credentials, and the variables they come from."""

SIGNER = "mistral-offload-s3v4"
_CONDITIONAL = ("PutObject", "CompleteMultipartUpload")
_CONDITION = "mistral-offload-if-none-match"
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")


class Connection(NamedTuple):
    """A client, and the secrets among its credentials, which no error may quote."""

    client: S3Client
    secrets: tuple[str, ...]


def connect(config: BlobStorageConfig) -> Connection:
    """Create the client; takes about 60 ms, and may request credentials of the machine's role.

    Raises:
        MissingExtraError: boto3 is not installed.
        StorageConfigError: boto3 refuses the endpoint, the CA bundle does not exist, or a
            credential contains a character that no HTTP header carries.
    """
    try:
        import boto3
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
    secrets = _prepare_credentials(session)

    def create(endpoint_url: str | None) -> S3Client:
        settings = _settings(config, endpoint_url)
        verify = str(config.ca_bundle) if config.ca_bundle else None
        try:
            return session.client(  # pyright: ignore[reportUnknownMemberType] - overloads of other services
                "s3", endpoint_url=endpoint_url, config=settings, verify=verify
            )
        except ValueError:
            raise StorageConfigError(
                f"boto3 does not accept endpoint_url {endpoint_url!r}"
            ) from None

    client = create(config.endpoint_url)
    found = client.meta.endpoint_url
    if config.endpoint_url is None and not is_aws(found):
        # The environment or the profile names another server: it needs the same settings.
        client.close()
        client = create(found)
    _sign_with_known_digest(client)
    for operation in _UPLOADS:
        client.meta.events.register(f"before-sign.s3.{operation}", _skip_expect_continue)
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
    for operation in _CONDITIONAL:
        _allow_condition(client, operation)
    return Connection(client, secrets)


def _prepare_credentials(session: Session) -> tuple[str, ...]:
    """Remove white space around the credentials that a session has found, and return them.

    Those that are renewed, such as those of a role, are left alone: reading them would fetch new
    ones.

    Raises:
        StorageConfigError: one contains a character that no HTTP header carries.
    """
    from botocore.credentials import Credentials

    found: Any = session.get_credentials()
    if type(found) is not Credentials:
        return ()
    for name, variable in _CREDENTIALS.items():
        text: str | None = getattr(found, name)
        if text:
            setting = variable if found.method == "env" else f"{variable.lower()} of the profile"
            text = strip_credential(text, setting, error_class=StorageConfigError)
            setattr(found, name, text)
    return tuple(filter(None, (found.access_key, found.secret_key, found.token)))


def is_aws(endpoint_url: str) -> bool:
    """Return True if an endpoint is one of Amazon's own."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_DOMAINS)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _settings(config: BlobStorageConfig, endpoint_url: str | None) -> Config:
    from botocore.config import Config

    style = config.addressing_style
    if style == "auto" and endpoint_url and not is_aws(endpoint_url):
        style = "path"  # only Amazon is sure to resolve a bucket by host name
    # A put has its own checksum; a blob that was read is verified against its key. Without these
    # settings, before 1.36, boto3 computes no others.
    names = ("request_checksum_calculation", "response_checksum_validation")
    checksums: Any = {name: "when_required" for name in names if name in Config.OPTION_DEFAULTS}
    return Config(
        connect_timeout=config.connect_timeout_seconds,
        read_timeout=config.read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},  # the store retries
        max_pool_connections=config.connections,
        tcp_keepalive=True,
        s3=None if style == "auto" else {"addressing_style": style},
        **checksums,
    )


def _sign_with_known_digest(client: S3Client) -> None:
    """Make the signature of a put reuse the SHA-256 that is sent as its checksum."""
    from botocore.auth import AUTH_TYPE_MAPS

    from mistral_offload.storage._s3_signatures import KnownDigestAuth

    AUTH_TYPE_MAPS.setdefault(SIGNER, KnownDigestAuth)
    for operation in _UPLOADS:
        client.meta.events.register(f"choose-signer.s3.{operation}", cast("Any", _choose_signer))


def _choose_signer(
    signature_version: object, context: dict[str, object], **_: object
) -> str | None:
    plain = signature_version in ("v4", "s3v4") and context.get("auth_type") in (None, "v4", "s3v4")
    return SIGNER if plain else None


def _skip_expect_continue(request: AWSRequest, **_: object) -> None:
    """Send the body without waiting for "100 Continue".

    After an early response, such as the 412 for a key that is taken, botocore before 1.44 misreads
    the next response on that connection and stalls for a read timeout (boto/botocore#3755).
    """
    del request.headers["Expect"]


def _allow_condition(client: S3Client, operation: str) -> None:
    """Make an operation take ``IfNoneMatch`` with versions of boto3 that have no such parameter."""
    model: Any = client.meta.service_model.operation_model(operation)
    if "IfNoneMatch" in model.input_shape.members:
        return
    events = client.meta.events
    events.register(f"provide-client-params.s3.{operation}", cast("Any", _take_condition))
    events.register(f"before-call.s3.{operation}", cast("Any", _add_condition))


def _take_condition(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    given = dict(params)
    context[_CONDITION] = given.pop("IfNoneMatch", None)
    return given


def _add_condition(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    condition = context.get(_CONDITION)
    if condition is not None:
        params["headers"]["If-None-Match"] = condition


def _add_md5(request: AWSRequest, **_: object) -> None:
    """Add Content-MD5, which every server supports; boto3 sends a CRC32, unknown to older ones."""
    body = request.body
    if isinstance(body, bytes):
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        del request.headers["Content-MD5"]  # that of boto3 before 1.36
        request.headers["Content-MD5"] = base64.b64encode(digest).decode()
