"""Credentials of the AWS default chain, and the faults of the services that give them.

botocore reports most of these faults as if there were no credentials at all, or as errors of S3.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.awsrequest import AWSRequest
from botocore.credentials import ContainerProvider, CredentialProvider
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError
from botocore.utils import ContainerMetadataFetcher, get_environ_proxies

if TYPE_CHECKING:
    from botocore.session import Session

_CONTAINER = "container-role"
_PROCESS = "custom-process"
_INSTANCE = "iam-role"
_METADATA_URL = "http://169.254.169.254/"
_METADATA_URL_IPV6 = "http://[fd00:ec2::254]/"
_ROLES = "latest/meta-data/iam/security-credentials/"
_MEMBERS = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
_TIMEOUT_SECONDS = 2

_SERVICES = {
    "AssumeRole": "STS",
    "AssumeRoleWithSAML": "STS",
    "AssumeRoleWithWebIdentity": "STS",
    "GetSessionToken": "STS",
    "GetRoleCredentials": "IAM Identity Center (SSO)",
    "CreateToken": "IAM Identity Center (SSO)",
    "CreateOAuth2Token": "the AWS sign-in service",
}
"""Services that give credentials, by the operations that boto3 calls."""

_BUSY = frozenset(
    (
        "IDPCommunicationError",
        "InternalFailure",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    )
)
_SERVICE_HOST = re.compile(r"(?:portal\.sso|oidc|signin|sts)[.-]")
_SERVICE_URLS = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC")


class CredentialServiceError(Exception):
    """Raised when a service did not give credentials; the text names it.

    Attributes:
        is_transient: True if a later request may succeed.
    """

    def __init__(self, text: str, *, is_transient: bool) -> None:
        super().__init__(text)
        self.is_transient = is_transient


def watch_credential_services(session: Session) -> None:
    """Let the default chain of a session raise `CredentialServiceError` for a service's fault."""
    resolver: Any = session.get_component("credential_provider")
    known = {provider.METHOD: provider for provider in resolver.providers}
    if _PROCESS in known:
        resolver.insert_before(_PROCESS, _CheckedProcess(known[_PROCESS]))
    if _CONTAINER in known:
        resolver.insert_before(
            _CONTAINER, ContainerProvider(fetcher=cast("Any", _ContainerFetcher()))
        )
    if _INSTANCE in known:
        resolver.insert_after(_INSTANCE, _InstanceWitness(session))


def as_service_error(
    error: Exception, profile: str | None, *, while_connecting: bool = False
) -> CredentialServiceError | None:
    """Return the error for a refusal or a silence of a credential service; None for any other.

    Args:
        error: an exception of botocore.
        profile: the configured profile, which may name a role.
        while_connecting: True before the first request of S3, when every address is a service's.
    """
    if isinstance(error, CredentialServiceError):
        return error
    if isinstance(error, exceptions.ClientError):
        return _refusal(error, profile)
    if isinstance(error, ResponseParserError) and while_connecting:
        return CredentialServiceError(
            "STS or another credential service sent no readable response", is_transient=True
        )
    if isinstance(error, exceptions.MetadataRetrievalError) or (
        isinstance(error, exceptions.CredentialRetrievalError)
        and error.kwargs.get("provider") in (_CONTAINER, _INSTANCE)
    ):
        return CredentialServiceError("the metadata service gave no credentials", is_transient=True)
    address = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)) and (
        while_connecting or _is_service_address(address)
    ):
        return CredentialServiceError(
            f"no response from the credential service {_server(address)}: check the network and "
            "any proxy",
            is_transient=True,
        )
    return None


def is_of_credential_service(error: Exception) -> bool:
    """Return True for an error response that a credential service sent, and not S3."""
    return getattr(error, "operation_name", None) in _SERVICES


def _refusal(error: exceptions.ClientError, profile: str | None) -> CredentialServiceError | None:
    service = _SERVICES.get(error.operation_name)
    if service is None:
        return None
    response = cast("dict[str, Any]", error.response)
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    role = _configured_role(profile)
    for_role = f" for the role {role}" if role else ""
    if code in _BUSY or _is_busy(status):
        return CredentialServiceError(
            f"{service} gave no credentials{for_role}: {error.operation_name}: {code}, "
            f"HTTP {status}",
            is_transient=True,
        )
    return CredentialServiceError(
        f"{service} refused credentials{for_role}: {error.operation_name}: {code}, HTTP {status}. "
        "Check the role's name and trust policy, and the identity or token that asks for it; no "
        "permission of the bucket is at fault",
        is_transient=False,
    )


def _configured_role(profile: str | None) -> str | None:
    """Return the role of a profile, or of the environment."""
    from botocore.session import Session

    try:
        found = cast("Mapping[str, str]", Session(profile=profile).get_scoped_config())
        role = found.get("role_arn")
    except exceptions.BotoCoreError:
        role = None
    return role or os.environ.get("AWS_ROLE_ARN")


def _is_service_address(address: str) -> bool:
    given = (os.environ.get(name) for name in _SERVICE_URLS)
    if any(url and address.startswith(url) for url in given):
        return True
    return _SERVICE_HOST.match(urlsplit(address).hostname or "") is not None


def _server(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _CheckedProcess(CredentialProvider):
    """Reports a ``credential_process`` that cannot be run, or whose output cannot be read.

    Args:
        provider: botocore's provider, which raises errors of Python for both.
    """

    METHOD = "mistral-offload-process"

    def __init__(self, provider: CredentialProvider) -> None:
        super().__init__()
        self._provider: Any = provider

    def load(self) -> Any:
        """Return the credentials; None without a ``credential_process``.

        Raises:
            CredentialServiceError: the program cannot be run, or its output is not the JSON that
                AWS prescribes.
        """
        try:
            return self._provider.load()
        except OSError as error:
            name = f" {error.filename!r}" if isinstance(error.filename, str) else ""
            failure = f"the program{name} cannot be run ({error.strerror})"
        except (ValueError, AttributeError, TypeError):  # their text and members quote the output
            failure = "its line cannot be read, or its output is not the JSON that AWS prescribes"
        # Outside of the except block, which would set __context__: that holds the output.
        raise CredentialServiceError(
            f"credential_process gave no credentials: {failure}. Fix it in the AWS config file, or "
            "set other credentials",
            is_transient=False,
        )


class _Requests:
    """Sends requests of a metadata service, and keeps the status of the last response."""

    def __init__(self, timeout: float, proxies: Mapping[str, str] | None = None) -> None:
        self._session: Any = URLLib3Session(
            timeout=cast("Any", timeout), proxies=cast("Any", proxies)
        )
        self.status = 0

    def send(self, request: Any) -> Any:
        self.status = 0
        response = self._session.send(request)
        self.status = response.status_code
        return response


def _no_pause(seconds: float) -> None:
    pass


class _ContainerFetcher(ContainerMetadataFetcher):
    """Requests credentials of a task or pod once; the store retries."""

    RETRY_ATTEMPTS = 1

    def __init__(self) -> None:
        self._requests = _Requests(_TIMEOUT_SECONDS)
        super().__init__(session=cast("Any", self._requests), sleep=_no_pause)

    def retrieve_full_uri(
        self, full_url: str, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        service = f"the container's credential service {_server(full_url)}"
        try:
            found: Any = super().retrieve_full_uri(full_url, headers)
        except exceptions.MetadataRetrievalError as error:
            raise _failure(service, self._requests.status) from error
        except ValueError as error:
            raise CredentialServiceError(
                f"{service} is no address that credentials may come from: fix "
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                is_transient=False,
            ) from error
        if not isinstance(found, dict) or any(name not in found for name in _MEMBERS):
            raise CredentialServiceError(
                f"{service} responded without credentials", is_transient=True
            )
        return cast("dict[str, Any]", found)


class _InstanceWitness(CredentialProvider):
    """The end of the chain: finds out whether there is an instance's service that is only busy.

    botocore's own provider returns nothing in both cases: without such a service, and when it does
    not respond properly.
    """

    METHOD = "mistral-offload-instance-metadata"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._core: Any = session

    def load(self) -> None:
        """Return None if there is no service, or no role.

        Raises:
            CredentialServiceError: there is one, but it gave no credentials.
        """
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return
        given = self._core.get_config_variable("ec2_metadata_service_endpoint")
        mode = self._core.get_config_variable("ec2_metadata_service_endpoint_mode")
        default = _METADATA_URL_IPV6 if str(mode).lower() == "ipv6" else _METADATA_URL
        url: str = given or default
        service = f"the instance metadata service {_server(url)}"
        try:
            self._inquire(url if url.endswith("/") else f"{url}/", service)
        except (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError) as error:
            if given:
                raise _failure(service, 0) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise _failure(service, 0) from error

    def _inquire(self, url: str, service: str) -> None:
        timeout = float(self._core.get_config_variable("metadata_service_timeout") or 1)
        requests = _Requests(timeout, get_environ_proxies(url))

        def send(method: str, path: str, headers: dict[str, str]) -> str:
            request = AWSRequest(method=method, url=url + path, headers=headers)
            return str(requests.send(request.prepare()).text)

        token = send("PUT", "latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "60"})
        if _is_busy(requests.status):
            raise _failure(service, requests.status)
        headers = {"x-aws-ec2-metadata-token": token} if requests.status == 200 else {}
        role = send("GET", _ROLES, headers).strip()
        if _is_busy(requests.status):
            raise _failure(service, requests.status)
        if requests.status != 200 or not role:  # no role, or the service of another cloud
            return
        found = send("GET", _ROLES + role.split()[0], headers)
        if requests.status != 200:
            raise _failure(service, requests.status, role)
        try:
            code = json.loads(found).get("Code", "Success")
        except (ValueError, AttributeError):
            code = "Success"
        if code != "Success":
            raise CredentialServiceError(
                f"{service} refused credentials for the role {role}: {code}: check the role's "
                "trust policy",
                is_transient=False,
            )
        # It has credentials now, or an unreadable response: a new attempt takes them.
        raise _failure(service, 0, role)


def _is_busy(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _failure(service: str, status: int, role: str | None = None) -> CredentialServiceError:
    """Return the error for a service without a proper response; status 0 means none at all."""
    for_role = f" for the role {role}" if role else ""
    if status >= 400 and not _is_busy(status):
        return CredentialServiceError(
            f"{service} refused credentials{for_role}: HTTP {status}. Check the role that is "
            "attached to this machine, task or pod",
            is_transient=False,
        )
    seen = f"HTTP {status}" if status else "no proper response in time"
    return CredentialServiceError(
        f"{service} gave no credentials{for_role}: {seen}", is_transient=True
    )
