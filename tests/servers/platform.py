"""The local platform of the tests: a real Temporal server and the REST API in front of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from mistral_offload.devserver import LocalPlatform


class SharedPlatform(LocalPlatform):
    """A running `LocalPlatform` for every process of a test run.

    Its Temporal server also has the namespace ``default``, which is none of the platform's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def stop(self) -> None:
        """Stop both parts."""
        self.close()

    def __reduce__(self) -> tuple[Callable[[], LocalPlatform], tuple[()]]:
        """Become a platform that is not started, at the same addresses."""
        port = urlsplit(self.server_url).port
        temporal_port = urlsplit(f"//{self.temporal_address}").port
        make = partial(
            LocalPlatform, port=port or 0, temporal_port=temporal_port or 0, api_key=self.api_key
        )
        return make, ()
