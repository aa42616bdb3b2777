"""Whether the platform answers, takes the token, and where it says that Temporal is."""

from __future__ import annotations

from typing import Final

from mistral_offload.api.connection import CallOptions
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.doctor.findings import Check, Verdict, ok, warning
from mistral_offload.doctor.shared_facts import Facts
from mistral_offload.environment.platform_api import Platform
from mistral_offload.environment.settings import WorkerSettings

_LONGEST_RETRY_SECONDS: Final = 2.0
"""A fault of a moment is passed over; for more, nobody on call wants to wait."""


class PlatformChecks:
    """Asks the platform what a worker asks it first."""

    def __init__(self, settings: WorkerSettings, facts: Facts, *, timeout: float) -> None:
        self._settings = settings
        self._facts = facts
        # Half of the time for going on, and half for the last attempt.
        half = max(1, int(timeout * 500))
        elapsed = min(int(_LONGEST_RETRY_SECONDS * 1000), half)
        self._options = CallOptions(
            retries=RetryConfig(backoff=BackoffStrategy(max_elapsed_time=elapsed)), timeout_ms=half
        )

    def checks(self) -> list[Check]:
        """The token, then the answer."""
        return [
            Check("platform.token", "platform: token", self._token),
            Check("platform.answer", "platform: answers", self._answer, needs=("platform.token",)),
        ]

    async def _token(self) -> Verdict:
        if self._settings.platform_token() is None:
            return warning(
                "neither MISTRAL_API_KEY nor MISTRAL_SA_TOKEN_PATH is set",
                "set one of them, unless the worker runs with register=False",
            )
        path = self._settings.mistral_sa_token_path
        return ok("from MISTRAL_API_KEY" if path is None else f"from the file {str(path)!r}")

    async def _answer(self) -> Verdict:
        platform = Platform(self._settings)
        try:
            told = await platform.whoami(self._options)
        finally:
            await platform.close()
        self._facts.told, self._facts.is_told = told, True
        url = self._settings.server_url
        if told is None:
            return warning(
                f"{url} does not tell where Temporal is",
                "mend SERVER_URL, or set TEMPORAL_SERVER_URL and TEMPORAL_NAMESPACE",
            )
        return ok(
            f"{url} takes the token; Temporal is at {told.scheduler_url}, namespace "
            f"{told.namespace}"
        )
