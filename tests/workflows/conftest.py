"""One Temporal server for all tests of a session that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mistral_offload.devserver import TemporalServer


@pytest.fixture(scope="session")
def temporal_target() -> Iterator[str]:
    """``host:port`` of a real Temporal server with the namespace ``default``.

    It ends with this process, however that ends.
    """
    with TemporalServer(namespace="default") as server:
        yield server.address
