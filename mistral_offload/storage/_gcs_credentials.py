"""Credentials of a Google Cloud Storage store, and the names of those who issue their tokens."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError, StorageConfigError

_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_AWS_TOKEN = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105 - the name of a kind
_FEDERATED = "external_account"


class Document(NamedTuple):
    """A file with credentials, and the setting or variable that names it."""

    path: Path
    setting: str
    content: dict[str, Any]

    @property
    def kind(self) -> str:
        """The value of its member ``type``, or the empty string."""
        found = self.content.get("type")
        return found if isinstance(found, str) else ""


@contextmanager
def usable_credentials(config: BlobStorageConfig) -> Generator[None]:
    """Turn what google-auth raises for a file of another form into an error that names the file.

    google-auth checks neither the members nor their types, and its errors may hold the file.

    Raises:
        StorageConfigError: the credentials cannot be used.
    """
    import requests
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
        return
    except (MistralOffloadError, GoogleAuthError, requests.RequestException):
        raise
    except Exception as error:
        failure = type(error).__name__
    raise StorageConfigError(
        f"the credentials cannot be used ({failure}): they are issued by {token_issuer(config)}"
    )


def load_credentials(config: BlobStorageConfig, scope: str) -> Any:
    """Load the key file of the settings, or Google's default credentials.

    Raises:
        StorageConfigError: the file cannot be used.
        google.auth.exceptions.DefaultCredentialsError: there are no default credentials.
    """
    if config.service_account_path is not None:
        return _service_account(config.service_account_path, scope)
    path, setting = _default_place()
    document = _read(path, setting)
    if document is not None and document.kind == _FEDERATED:
        return _federated(document, scope)
    if path.exists():  # a missing one is for google-auth to report
        _check_document(path, setting)
    import google.auth

    return cast("Any", google.auth).default(scopes=[scope])[0]


def token_issuer(config: BlobStorageConfig, impersonating: bool = False) -> str:
    """Return the service that issues a store's tokens, as text for an error message.

    Args:
        config: the credentials.
        impersonating: True for the service that lets a federated identity act as an account.
    """
    path = config.service_account_path
    document = _read(path, "service_account_path") if path else _read(*_default_place())
    if document is None:
        return "Google's token service"
    place = f"{document.setting} ({str(document.path)!r})"
    if document.kind != _FEDERATED:
        return f"{_host(document, 'token_uri')}, for the account of {place}"
    account = _impersonated_account(document)
    if impersonating and account:
        return (
            f"{_host(document, 'service_account_impersonation_url')}, for the service account "
            f"{account!r}, on which the federated identity of {place} needs the role "
            "'Workload Identity User'"
        )
    return f"{_host(document, 'token_url')}, for the federated identity of {place}"


def _service_account(path: Path, scope: str) -> Any:
    from google.oauth2 import service_account

    _check_document(path, "service_account_path")
    document = _read(path, "service_account_path")
    reason = "it is not readable JSON" if document is None else ""
    if document is not None:
        try:
            return cast("Any", service_account).Credentials.from_service_account_info(
                document.content, scopes=[scope]
            )
        except Exception as error:  # the SDK checks neither types nor lengths
            reason = type(error).__name__
        if document.kind and document.kind != "service_account":
            reason = (
                f"its type is {document.kind[:100]!r}: leave service_account_path out and name the "
                f"file in {_VARIABLE}"
            )
    # Outside of the except block: the SDK's error, with the key in it, is no context of ours.
    raise StorageConfigError(
        f"service_account_path {str(path)!r} is not a readable key file of a service account "
        f"({reason})"
    )


def _federated(document: Document, scope: str) -> Any:
    """Load credentials of workload identity federation.

    ``google.auth.default`` would also request the number of a project, which nothing needs and a
    firewall may stop.
    """
    content, failure = document.content, ""
    source = content.get("credential_source")
    try:
        from google.auth import aws, identity_pool, pluggable

        module: Any = identity_pool
        if content.get("subject_token_type") == _AWS_TOKEN:
            module = aws
        elif isinstance(source, dict) and "executable" in source:
            module = pluggable
        credentials = module.Credentials.from_info(content, scopes=[scope])
        return credentials.with_quota_project_from_environment()
    except Exception as error:  # the SDK checks neither types nor members
        failure = type(error).__name__
    raise StorageConfigError(
        f"{document.setting} names {str(document.path)!r}, which is not a usable file for workload "
        f"identity federation ({failure}): create it again"
    )


def _default_place() -> tuple[Path, str]:
    """Return the file of Google's default credentials, if there is one, and what names it."""
    given = os.environ.get(_VARIABLE)
    if given:
        return Path(given), _VARIABLE
    folder = os.environ.get("CLOUDSDK_CONFIG")
    if folder is None:
        if os.name == "nt":
            folder = os.path.join(os.environ.get("APPDATA", ""), "gcloud")
        else:
            folder = os.path.expanduser("~/.config/gcloud")
    return Path(folder) / "application_default_credentials.json", "gcloud's login"


def _check_document(path: Path, setting: str) -> None:
    """Check that a file holds a JSON object, as all of Google's credentials do.

    Raises:
        StorageConfigError: it does not; the text names setting, file and position.
    """
    position = ""
    try:
        is_object = isinstance(json.loads(path.read_bytes().decode()), dict)
    except OSError as error:
        raise StorageConfigError(
            f"the file {str(path)!r} ({setting}) cannot be read: {error.strerror}"
        ) from error
    except json.JSONDecodeError as error:
        is_object, position = False, f", from line {error.lineno}, column {error.colno} on"
    except UnicodeDecodeError as error:
        is_object, position = False, f", but no text in UTF-8, from byte {error.start + 1} on"
    except RecursionError:
        is_object = False
    if not is_object:  # outside of the except blocks: the errors hold the document
        raise StorageConfigError(
            f"the file {str(path)!r} ({setting}) is not a JSON object with credentials{position}: "
            "download it again"
        )


def _read(path: Path, setting: str) -> Document | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return (
        Document(path, setting, cast("dict[str, Any]", content))
        if isinstance(content, dict)
        else None
    )


def _impersonated_account(document: Document) -> str:
    url = document.content.get("service_account_impersonation_url")
    text = url if isinstance(url, str) else ""
    return text.rpartition("/serviceAccounts/")[2].partition(":")[0][:200]


def _host(document: Document, member: str) -> str:
    url = document.content.get(member)
    try:
        return (
            urlsplit(url).hostname if isinstance(url, str) else None
        ) or "Google's token service"
    except ValueError:
        return "Google's token service"
