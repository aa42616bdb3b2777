"""Values of storage settings that no store could use, found without a request or an SDK."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from mistral_offload.errors import StorageConfigError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""Begin of an address; the letter of a Windows drive is shorter."""

_CONTAINER_FIELDS = {
    "s3": ("s3", "bucket_name"),
    "s3a": ("s3", "bucket_name"),
    "s3n": ("s3", "bucket_name"),
    "gs": ("gcs", "bucket_id"),
    "gcs": ("gcs", "bucket_id"),
    "az": ("azure", "container_name"),
    "abfs": ("azure", "container_name"),
    "abfss": ("azure", "container_name"),
    "wasb": ("azure", "container_name"),
    "wasbs": ("azure", "container_name"),
}
"""Provider, and field of its bucket or container, by the scheme of an address."""

_SERVER_FIELDS = {
    "bucket_name": "endpoint_url",
    "bucket_id": "endpoint_url",
    "container_name": "azure_storage_account_url",
}


def check_prefix(prefix: str) -> None:
    """Refuse a prefix with segments that file systems and URLs take for a way up.

    Raises:
        StorageConfigError: the prefix cannot be used.
    """
    if _ADDRESS.match(prefix):
        raise StorageConfigError(
            "prefix must be the beginning of keys, not an address: the bucket has a setting of its "
            "own"
        )
    if any(segment in (".", "..") for segment in prefix.split("/")):
        raise StorageConfigError(
            f"prefix {prefix!r} must not contain the segments . and .., since no folder is above "
            "another one in a bucket: write all segments from the bucket's top"
        )


def check_container(field: str, provider: str, name: str) -> None:
    """Refuse an address, or a path, as the name of a bucket, a container or a directory.

    Args:
        field: the setting that holds the name.
        provider: the configured provider.
        name: the name; a directory for a local store.

    Raises:
        StorageConfigError: the name cannot be used; the text has the settings to write instead.
    """
    if _ADDRESS.match(name):
        raise StorageConfigError(_describe_address(field, provider, name))
    if field == "path" or name.startswith("arn:"):
        return
    bucket, slash, prefix = name.strip("/").partition("/")
    if slash or bucket != name:
        raise StorageConfigError(
            f"{field} must be the name alone, without a slash: write "
            f"{_settings({field: bucket, 'prefix': prefix})}"
        )


def check_address(field: str, url: str | None) -> None:
    """Refuse a URL of a server without http or https, or without a host.

    Raises:
        StorageConfigError: the URL cannot be used; the text shows nothing of it.
    """
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageConfigError(
            f"{field} is not an http(s) address: write {field}='https://host' or 'http://host:port'"
        )


def check_connection_string(text: str) -> None:
    """Refuse what Azure's SDK would refuse in a connection string; no error shows its text.

    Raises:
        StorageConfigError: a part is missing or malformed.
    """
    remedy = (
        "copy all of it again from the storage account's access keys or shared access signature"
    )
    parts = [part.partition("=") for part in text.strip().rstrip(";").split(";")]
    values = {name.strip().lower(): value for name, _, value in parts}
    if not all(separator for _, separator, _ in parts):
        raise StorageConfigError(
            "azure_connection_string is malformed: it consists of Name=value parts separated by "
            f"semicolons; {remedy}"
        )
    if values.get("usedevelopmentstorage") == "true":
        return
    if not values.get("blobendpoint") and not values.get("accountname"):
        raise StorageConfigError(
            f"azure_connection_string is malformed: it lacks AccountName and BlobEndpoint; {remedy}"
        )
    key = values.get("accountkey")
    try:
        valid = key is None or bool(binascii.a2b_base64(key.strip()))
    except ValueError:
        valid = False
    if not valid:
        raise StorageConfigError(
            f"AccountKey in azure_connection_string is not an account key; {remedy}"
        )


def _describe_address(field: str, provider: str, address: str) -> str:
    if "://" not in address:  # a path drops one of two slashes
        address = address.replace(":/", "://", 1)
    parts = urlsplit(address)
    problem = f"{field} must be a name, not an address"
    if field == "path":
        problem = "path must be a directory, not an address"
    if parts.scheme in _CONTAINER_FIELDS:
        named, its_field = _CONTAINER_FIELDS[parts.scheme]
        settings = {} if named == provider == "s3" else {"storage_provider": named}
        container = parts.username if named == "azure" and parts.username else _host(parts)
        settings |= {its_field: container, "prefix": parts.path.strip("/")}
        return f"{problem}: write {_settings(settings)}"
    if parts.scheme == "file":
        directory = f"{parts.netloc}{parts.path}".lstrip("/")
        settings = {"storage_provider": "local", "path": f"/{directory}"}
        return f"{problem}: write {_settings(settings)}"
    server = _SERVER_FIELDS.get(field)
    if server is None:
        return f"{problem}: choose the storage_provider and its bucket or container"
    return f"{problem}; the address of a server belongs in {server}"


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _settings(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items() if value)
