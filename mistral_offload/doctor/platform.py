"""Checks that the platform responds, accepts the token, and reports Temporal's address."""

from __future__ import annotations

from typing import Final

from mistral_offload.api.connection import CallOptions
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.doctor.findings import Check, SharedFacts, Verdict, ok, warning
from mistral_offload.environment.platform_api import Platform
from mistral_offload.environment.settings import WorkerSettings

_LONGEST_RETRY_SECONDS: Final = 2.0
"""Enough for a momentary fault; longer outages are reported without waiting."""


class PlatformChecks:
    """Sends the platform the request that a worker sends first."""

    def __init__(self, settings: WorkerSettings, facts: SharedFacts, *, timeout: float) -> None:
        self._settings = settings
        self._facts = facts
        # Half of the time for retries, and half for the last attempt.
        half = max(1, int(timeout * 500))
        elapsed = min(int(_LONGEST_RETRY_SECONDS * 1000), half)
        self._options = CallOptions(
            retries=RetryConfig(backoff=BackoffStrategy(max_elapsed_time=elapsed)), timeout_ms=half
        )

    def checks(self) -> list[Check]:
        """Return the checks of the token and of the platform's response."""
        token = Check("platform.token", "platform: token", self._token)
        response = Check(
            "platform.answer", "platform: reachable", self._response, needs=("platform.token",)
        )
        return [token, response]

    async def _token(self) -> Verdict:
        if self._settings.platform_token() is None:
            return warning(
                "neither MISTRAL_API_KEY nor MISTRAL_SA_TOKEN_PATH is set",
                "set one of them, unless the worker runs with register=False",
            )
        path = self._settings.mistral_sa_token_path
        return ok("from MISTRAL_API_KEY" if path is None else f"from the file {str(path)!r}")

    async def _response(self) -> Verdict:
        platform = Platform(self._settings)
        try:
            whereabouts = await platform.whoami(self._options)
        finally:
            await platform.close()
        self._facts.whereabouts, self._facts.platform_responded = whereabouts, True
        url = self._settings.server_url
        if whereabouts is None:
            return warning(
                f"{url} does not report Temporal's address",
                "fix SERVER_URL, or set TEMPORAL_SERVER_URL and TEMPORAL_NAMESPACE",
            )
        return ok(
            f"{url} accepts the token; Temporal is at {whereabouts.scheduler_url}, namespace "
            f"{whereabouts.namespace}"
        )
