"""Azure's default credentials, and the services behind them that do not give a token.

DefaultAzureCredential tries one source after the other, and reports faults of all of them as one
failure without a status. The responses themselves tell who refused, and who was only busy.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.identity import DefaultAzureCredential

_METADATA_HOST = "169.254.169.254"
_TRANSIENT = (408, 410, 429)
_SHOWN_CHARACTERS = 100


class CredentialServiceError(AzureError):
    """Raised when a service did not give a token; the text names it.

    Attributes:
        is_transient: True if a later request may succeed.
    """

    def __init__(self, text: str, *, is_transient: bool) -> None:
        super().__init__(text)
        self.is_transient = is_transient


class _Exchange(NamedTuple):
    """A request for a token: the service, status 0 if it did not respond, and its error code."""

    host: str
    path: str
    status: int
    code: str = ""

    @property
    def service(self) -> str:
        """The service, as text for an error message."""
        if "/oauth2/" in self.path or "/.well-known/" in self.path:
            client = os.environ.get("AZURE_CLIENT_ID")
            of_client = f", client {client}" if client else ""
            tenant = self.path.strip("/").partition("/")[0]
            return f"Microsoft Entra ID ({self.host}, tenant {tenant}{of_client})"
        return f"the managed identity endpoint {self.host}"

    @property
    def is_transient(self) -> bool:
        """True if the service was busy, or did not respond although it must be there."""
        if self.status == 0:
            return not self.is_metadata  # most machines have no metadata service
        if self.status == 404 and self.is_metadata:  # while it is being updated
            return True
        return self.status in _TRANSIENT or self.status >= 500

    @property
    def is_refusal(self) -> bool:
        """True if the service refused a token."""
        if self.status == 403 and self.is_metadata:  # sent by Docker Desktop, which has none
            return False
        return self.status >= 400

    @property
    def is_metadata(self) -> bool:
        """True for the metadata service of a virtual machine."""
        return self.host.partition(":")[0] == _METADATA_HOST


class DefaultCredential:
    """DefaultAzureCredential with errors that name the service; the store retries.

    Args:
        log: takes what the SDK logs for each request.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._thread = threading.local()
        self._credential = self._create()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token.

        Raises:
            CredentialServiceError: a service refused it, or was busy.
            ClientAuthenticationError: there is no service or other source of tokens.
        """
        exchanges: list[_Exchange] = []
        self._thread.exchanges = exchanges
        try:
            return self._credential.get_token(*scopes, **options)
        except AzureError as error:
            failure = _failure(exchanges)
            if failure is None:
                raise
            failure.__cause__ = error
        if failure.is_transient:
            # MSAL keeps such a response for a minute, and sends no request in that time.
            self._credential.close()
            self._credential = self._create()
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._credential.close()

    def _create(self) -> DefaultAzureCredential:
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential(
            retry_total=0,
            raw_request_hook=self._note_request,
            raw_response_hook=self._note,
            logger=self._log,
        )

    def _note_request(self, request: Any) -> None:
        self._exchanges().append(_exchange(request.http_request.url, 0, ""))

    def _note(self, response: Any) -> None:
        found = self._exchanges()
        if found:
            found.pop()
        status = response.http_response.status_code
        code = _error_code(response) if status >= 400 else ""
        found.append(_exchange(response.http_request.url, status, code))

    def _exchanges(self) -> list[_Exchange]:
        exchanges: list[_Exchange] = getattr(self._thread, "exchanges", [])
        return exchanges


def _failure(exchanges: list[_Exchange]) -> CredentialServiceError | None:
    """Return the error for the exchanges of one token; None if nothing was refused."""
    for exchange in exchanges:
        if exchange.is_transient:
            seen = f"HTTP {exchange.status}" if exchange.status else "no response"
            return CredentialServiceError(
                f"{exchange.service} gave no token: {seen}", is_transient=True
            )
    for exchange in exchanges:
        if exchange.is_refusal:
            about = f"{exchange.code}, HTTP {exchange.status}".removeprefix(", ")
            return CredentialServiceError(
                f"{exchange.service} refused a token: {about}. Check the identity, its secret, "
                "certificate or federation; no role of the container is at fault",
                is_transient=False,
            )
    return None


def _exchange(url: str, status: int, code: str) -> _Exchange:
    parts = urlsplit(url)
    return _Exchange(parts.netloc.rpartition("@")[2], parts.path, status, code)


def _error_code(response: Any) -> str:
    """Return the code of a refusal: that of Entra ID (AADSTS…), or the word of OAuth."""
    try:
        body: Any = json.loads(response.http_response.text())
    except Exception:  # unread, not text, or not JSON
        return ""
    if not isinstance(body, dict):
        return ""
    found = cast("dict[str, Any]", body)
    word = found.get("error")
    codes = found.get("error_codes")
    number = f", AADSTS{codes[0]}" if isinstance(codes, list) and codes else ""
    return f"{word}{number}"[:_SHOWN_CHARACTERS] if isinstance(word, str) else ""
