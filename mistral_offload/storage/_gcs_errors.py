"""Translates errors of Google Cloud Storage and its libraries, by class, status and reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mistral_offload.errors import (
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._gcs_token_faults import token_fault
from mistral_offload.storage._http_errors import is_untrusted_certificate, quoted
from mistral_offload.storage.credential_requests import pending_error
from mistral_offload.storage.response_form import checked_form, malformed_error

if TYPE_CHECKING:
    from requests import Response

_SHOWN_CHARACTERS = 500


class RefusedError(Exception):
    """An error response that has not been translated yet.

    Attributes:
        status_code: the HTTP status.
        reasons: the machine-readable reasons that the body gives, as spelt there.
        message: the server's sentence, or the empty string.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status_code}: {response.text[:_SHOWN_CHARACTERS]}")
        self.status_code = response.status_code
        self.response: Response | None = response
        body = _parsed(response.content)
        self.reasons = tuple(dict.fromkeys(_reasons_in(body)))
        message = _member(_member(body, "error"), "message")
        self.message = message if isinstance(message, str) else ""

    @property
    def is_plain_conflict(self) -> bool:
        """True if the response can only mean that the condition of the request does not hold."""
        return self.message in _CONDITION_SENTENCES and _BY_REASON.keys().isdisjoint(
            _known(self.reasons)
        )

    @property
    def may_hide_a_blob(self) -> bool:
        """True if a create may have been refused because a blob is there, or for another reason.

        An organization policy responds 412, as an unmet condition does; a hold responds 403.
        """
        return self.status_code == 412 or not _HELD_REASONS.isdisjoint(_known(self.reasons))


def body_of(response: Response) -> Any:
    """Return the JSON of a response.

    Raises:
        requests.JSONDecodeError: the body is not JSON.
        MalformedResponseError: it is JSON that cannot be read, such as a nesting too deep.
    """
    import requests

    with checked_form(requests.RequestException):
        return response.json()


class Target(NamedTuple):
    """The operation, bucket and key of a failed request."""

    operation: str
    bucket: str
    key: str | None
    server: str
    issuer: Callable[[bool], str] = lambda _: _DEFAULT_ISSUER
    """Returns the service that issues tokens, or impersonates, with the file that names it."""
    secrets: tuple[str, ...] = ()
    """Texts that no error may quote."""


ErrorKind = type[StorageError | StorageConfigError]

_DEFAULT_ISSUER = "Google's token service"
_CONDITION_SENTENCES = (
    "At least one of the pre-conditions you specified did not hold.",
    "Precondition failed",  # other servers
)
"""The sentences of an unmet condition. Any other one costs a request that looks for the blob."""

_NOT_FOUND = (
    "nothing is stored under this key: it was never written, was deleted, or expired by a "
    "lifecycle rule; reader and writer need the same bucket and prefix. Google Cloud Storage "
    "responds the same if the bucket does not exist"
)
_NO_BUCKET = "the bucket does not exist: create it, or fix bucket_id"
_BUSY = "the server cannot handle the request now: retry later"
_LIMIT = (
    "a rate limit or quota of the bucket, the project or the account is used up: retry later, or "
    "raise it"
)
_HELD = (
    "a hold or a retention policy protects the blob: release the hold, or wait until the blob's "
    "retention ends"
)
_CUSTOMER_KEY = (
    "the blob is encrypted with a key that a client supplies with each request, and this package "
    "has none: rewrite the blob without one, or with a Cloud KMS key"
)
_KMS = (
    "the bucket's or the blob's Cloud KMS key cannot be used: it must exist, be enabled and be in "
    "the bucket's location, and the project's Cloud Storage service agent needs the role "
    "'Cloud KMS CryptoKey Encrypter/Decrypter' on it"
)
_PROJECT = (
    "the bucket is billed to its requester: set project to one that the account may use "
    "(serviceusage.services.use) and whose billing is enabled"
)
_POLICY = "a policy of the organization forbids this request, whatever role the account has"
_BILLING = "the project's billing or the account is disabled"
_API = "the Cloud Storage API is not enabled in the project of the credentials"
_INVALID = (
    "the credentials are missing or not valid: check service_account_path or the default "
    "credentials, and this machine's clock"
)

_HELD_REASONS = frozenset(("objectunderactivehold", "retentionpolicynotmet"))

# By reason, in lower case and without its domain and underscores: the same reason is spelt
# usageLimits.rateLimitExceeded, rateLimitExceeded and RATE_LIMIT_EXCEEDED.
_BY_REASON: dict[str, tuple[ErrorKind, str]] = {
    **dict.fromkeys(_HELD_REASONS, (StorageError, _HELD)),
    **dict.fromkeys(
        (
            "ratelimitexceeded",
            "userratelimitexceeded",
            "quotaexceeded",
            "dailylimitexceeded",
            "resourceexhausted",
        ),
        (StorageUnavailableError, _LIMIT),
    ),
    **dict.fromkeys(
        ("backenderror", "internalerror", "gatewaytimeout", "uploadbrokenconnection"),
        (StorageUnavailableError, _BUSY),
    ),
    **dict.fromkeys(
        (
            "customerencryptionalgorithmisinvalid",
            "customerencryptionkeyformatisinvalid",
            "customerencryptionkeyisincorrect",
            "customerencryptionkeysha256isinvalid",
            "resourceisencryptedwithcustomerencryptionkey",
            "resourcenotencryptedwithcustomerencryptionkey",
        ),
        (StorageError, _CUSTOMER_KEY),
    ),
    **dict.fromkeys(
        (
            "cloudkmsbadkey",
            "cloudkmscannotchangekeyname",
            "cloudkmsdecryptionkeynotfound",
            "cloudkmsdisabledkey",
            "cloudkmsencryptionkeynotfound",
            "cloudkmskeylocationnotallowed",
        ),
        (StorageConfigError, _KMS),
    ),
    **dict.fromkeys(
        (
            "authenticationrequiredrequesterpays",
            "userprojectaccessdenied",
            "userprojectaccountproblem",
            "userprojectinconsistent",
            "userprojectinvalid",
            "userprojectmissing",
        ),
        (StorageConfigError, _PROJECT),
    ),
    **dict.fromkeys(
        ("orgpolicyconstraintfailed", "vpcservicecontrols", "securitypolicyviolated"),
        (StorageAccessDeniedError, _POLICY),
    ),
    **dict.fromkeys(("accountdisabled", "billingdisabled"), (StorageAccessDeniedError, _BILLING)),
    **dict.fromkeys(("accessnotconfigured", "servicedisabled"), (StorageConfigError, _API)),
    **dict.fromkeys(
        ("autherror", "accesstokenexpired", "lockeddomainexpired"),
        (StorageAccessDeniedError, _INVALID),
    ),
    "sslrequired": (StorageConfigError, "the server requires https: fix endpoint_url"),
}

_PERMISSION = {
    "put": "storage.objects.create, and storage.objects.delete to overwrite",
    "get": "storage.objects.get",
    "stat": "storage.objects.get",
    "renew": "storage.objects.get, storage.objects.create and storage.objects.delete",
    "delete": "storage.objects.delete",
    "list": "storage.objects.list",
    "read lifecycle": "storage.buckets.get",
    "write lifecycle": "storage.buckets.update, storage.buckets.get and "
    "storage.buckets.getIamPolicy",
}


def translate_error(error: Exception, target: Target) -> MistralOffloadError | None:
    """Return this package's error for one of Google's libraries or requests, or None."""
    import requests
    import urllib3
    from google.auth.exceptions import GoogleAuthError

    place: Any = {"provider": "gcs", "container": target.bucket, "key": target.key}
    known = malformed_error(error, target.server, **place) or pending_error(
        error,
        f"{target.issuer(False)} or the machine's metadata server does not respond. If none is "
        "meant to, set service_account_path, or provide Google's default credentials",
        **place,
    )
    if known is not None:
        return known
    refusal = refusal_of(error)
    if refusal is not None:
        kind, text = _classify_response(refusal, target)
        about = ", ".join((*refusal.reasons, f"HTTP {refusal.status_code}"))
        said = quoted(refusal.message, target.secrets)
        text = f"{text} ({target.operation}: {about}{said})"
    elif isinstance(
        error, (GoogleAuthError, requests.RequestException, urllib3.exceptions.HTTPError)
    ):
        kind, text = _classify_exception(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    else:
        return None
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (gcs bucket {target.bucket!r}, {target.server})")
    return kind(text, **place)


def refusal_of(error: Exception) -> RefusedError | None:
    """Return the error response behind an exception of ours or of Google's SDK, or None."""
    if isinstance(error, RefusedError):
        return error
    response: Any = getattr(error, "response", None)
    if type(error).__module__.startswith("google.api_core.") and response is not None:
        return RefusedError(response)
    return None


def _classify_response(refusal: RefusedError, target: Target) -> tuple[ErrorKind, str]:
    status = refusal.status_code
    for reason in _known(refusal.reasons):
        if reason in _BY_REASON:
            return _BY_REASON[reason]
    if status == 401:
        return StorageAccessDeniedError, _INVALID
    if status == 403:
        return StorageAccessDeniedError, _permission_message(target.operation)
    if status == 404:
        reads = target.operation in ("get", "stat", "renew")
        return (BlobNotFoundError, _NOT_FOUND) if reads else (ContainerNotFoundError, _NO_BUCKET)
    if status in (408, 409, 429) or status >= 500:
        return StorageUnavailableError, f"{_BUSY}; server: {target.server}"
    if 300 <= status < 400:
        return StorageConfigError, "the server redirects to another address: fix endpoint_url"
    if status == 412:
        return StorageError, (
            "the server refused the request although nothing is stored under the key: a policy of "
            "the bucket or the organization forbids it"
            if target.operation == "put"
            else "a condition of the request, or a policy, is not met"
        )
    return StorageError, (
        "the server refused the request: check bucket_id; a requester-pays bucket needs project"
    )


def _permission_message(operation: str) -> str:
    role = "Storage Admin" if operation.endswith("lifecycle") else "Storage Object User"
    text = (
        f"the credentials do not allow this: they need {_PERMISSION[operation]}, for example by "
        f"the role {role!r} on the bucket"
    )
    if operation in ("get", "stat"):
        text += "; without storage.objects.list, the response is the same if the key does not exist"
    return text


def _classify_exception(error: Exception, target: Target) -> tuple[ErrorKind, str]:
    import requests
    from google.auth import exceptions as auth

    if is_untrusted_certificate(error):
        return StorageConfigError, (
            "the server's certificate is not trusted: set REQUESTS_CA_BUNDLE to the file with the "
            "certificate of its authority"
        )
    if isinstance(error, auth.DefaultCredentialsError):
        return StorageAccessDeniedError, (
            "no credentials were found: set service_account_path, or provide Google's default "
            "credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud, a role of the machine)"
        )
    if isinstance(error, (auth.RefreshError, auth.OAuthError)):
        code, sentence = _token_refusal(error)
        # The first exchange of federation raises an OAuthError, impersonation a RefreshError.
        issuer = target.issuer(isinstance(error, auth.RefreshError))
        if code:
            said = quoted(f"{code}: {sentence}", target.secrets)
            return StorageAccessDeniedError, f"the credentials were refused by {issuer}{said}"
    fault = token_fault(error)
    if fault is not None:
        return fault
    if isinstance(error, auth.RefreshError) and not getattr(error, "retryable", False):
        return StorageAccessDeniedError, (
            f"the credentials were refused, or no token was requested from {target.issuer(True)}: "
            "check that the key is not deleted, that the account is not disabled, and this "
            "machine's clock"
        )
    if isinstance(error, requests.RequestException) and isinstance(error, ValueError):
        # Never sent, or the response is not of this API.
        return StorageConfigError, f"{target.server} is not Google Cloud Storage: fix endpoint_url"
    return StorageUnavailableError, (
        f"no response, or an incomplete one, from {target.server}: check the network and any proxy"
    )


_TRANSIENT_CODES = ("server_error", "temporarily_unavailable", "internal_failure", "UNAVAILABLE")


def _token_refusal(error: Exception) -> tuple[str, str]:
    """Return code and sentence of a token service's refusal; empty if it gave none.

    Such an exception carries the body of the response as one of its arguments.
    """
    for argument in error.args:
        body = _parsed(argument) if isinstance(argument, (str, bytes)) else argument
        code, described = _member(body, "error"), _member(body, "error_description")
        if not isinstance(code, str):  # of Google's APIs
            described, code = _member(code, "message"), _member(code, "status")
        if isinstance(code, str) and code not in _TRANSIENT_CODES:
            return code, described if isinstance(described, str) else ""
    return "", ""


def _reasons_in(body: object) -> Iterator[str]:
    """Yield the reasons of an error body, in both forms that Google's APIs use."""
    error = _member(body, "error")
    for name in ("errors", "details"):
        entries = _member(error, name)
        for entry in cast("list[object]", entries) if isinstance(entries, list) else ():
            reason = _member(entry, "reason")
            if isinstance(reason, str) and reason:
                yield reason[:_SHOWN_CHARACTERS]


def _known(reasons: tuple[str, ...]) -> list[str]:
    return [reason.rpartition(".")[2].replace("_", "").lower() for reason in reasons]


def _member(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
