"""Session of a Google Cloud Storage store. Imports google-auth, so import it only to connect."""

from __future__ import annotations

from google.auth.transport.requests import AuthorizedSession

from mistral_offload.storage._http_variables import ReadsVariables


class TokenSession(ReadsVariables, AuthorizedSession):
    """Adds a token to each request."""
