"""Credentials are requested once for all callers that wait, and no caller waits for long."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageUnavailableError,
)
from mistral_offload.storage import credential_requests, open_store
from mistral_offload.storage.credential_requests import CredentialRequests, CredentialsPendingError
from mistral_offload.storage.store import BlobStore
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until

CALLERS = 6


class Service:
    """A service of credentials that is silent until it is released, and then fails."""

    def __init__(self) -> None:
        self.requests = 0
        self.released = threading.Event()
        self.error: Exception = ZeroDivisionError()

    def request(self, *_: object, **__: object) -> Any:
        self.requests += 1
        assert self.released.wait(PATIENCE_SECONDS)
        raise self.error


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.released.set()


def waiting(requests: CredentialRequests[Any], service: Service) -> list[Exception]:
    """Let several callers wait, release the service, and return what each got."""
    caught: list[Exception] = []

    def call(_: int) -> None:
        try:
            requests.run("token", service.request)
        except Exception as error:
            caught.append(error)

    with Threads() as callers:
        for number in range(CALLERS):
            callers.submit(call, number)
        wait_until(lambda: service.requests == 1)
        service.released.set()
    return caught


def test_one_failure_serves_all_who_wait(service: Service) -> None:
    requests: CredentialRequests[Any] = CredentialRequests(PATIENCE_SECONDS)
    with_running = requests._running
    caught = waiting(requests, service)
    assert [type(error) for error in caught] == [ZeroDivisionError] * CALLERS
    wait_until(lambda: not with_running)
    before = service.requests
    with pytest.raises(ZeroDivisionError):
        requests.run("token", service.request)
    assert service.requests == before + 1  # the next caller requests them again


def test_each_caller_gets_its_own_copy_of_our_errors(service: Service) -> None:
    service.error = StorageConfigError("the file is missing")
    service.error.__cause__ = KeyError("cause")
    caught = waiting(CredentialRequests(PATIENCE_SECONDS), service)
    assert {str(error) for error in caught} == {"the file is missing"}
    assert len({id(error) for error in caught}) == CALLERS
    assert all(isinstance(error.__cause__, KeyError) for error in caught)


def test_a_caller_gives_up_and_a_late_result_serves_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credential_requests, "_LEAST_SECONDS", 0.01)
    requests: CredentialRequests[str] = CredentialRequests(0)
    released, started = threading.Event(), threading.Semaphore(0)

    def request() -> str:
        started.release()
        assert released.wait(PATIENCE_SECONDS)
        return "token"

    for _ in range(3):
        with pytest.raises(CredentialsPendingError, match=r"within 0\.01 s"):
            requests.run("token", request)
    patient: CredentialRequests[str] = CredentialRequests(PATIENCE_SECONDS)
    patient._running = requests._running
    with Threads() as threads:
        result = threads.submit(patient.run, "token", request)
        released.set()
        assert result.result(PATIENCE_SECONDS) == "token"
    assert started.acquire(blocking=False)
    assert not started.acquire(blocking=False)  # there was one request


def test_a_timeout_of_the_service_is_its_own_error() -> None:
    requests: CredentialRequests[None] = CredentialRequests(PATIENCE_SECONDS)

    def request() -> None:
        raise TimeoutError("of the service")

    with pytest.raises(TimeoutError, match="of the service"):
        requests.run("token", request)


def test_a_request_sees_the_callers_context() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    name.set("caller")
    requests: CredentialRequests[str] = CredentialRequests(PATIENCE_SECONDS)
    assert requests.run("token", name.get) == "caller"


def google(monkeypatch: pytest.MonkeyPatch, service: Service) -> BlobStore:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    monkeypatch.setattr("google.auth.default", service.request)
    config = BlobStorageConfig(
        storage_provider=StorageProvider.GCS,
        bucket_id="bucket",
        endpoint_url="https://127.0.0.1:1",
        retry_seconds=0,
    )
    return open_store(config)


def azure(monkeypatch: pytest.MonkeyPatch, service: Service) -> BlobStore:
    class Identity:
        get_token = staticmethod(service.request)

        def close(self) -> None:
            pass

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda **_: Identity())
    config = BlobStorageConfig(
        storage_provider=StorageProvider.AZURE,
        container_name="container",
        azure_storage_account_url="https://127.0.0.1:1/account",
        retry_seconds=0,
    )
    return open_store(config)


@pytest.mark.parametrize("opened", [google, azure])
def test_stores_wait_together_and_for_a_bounded_time(
    opened: Callable[[pytest.MonkeyPatch, Service], BlobStore],
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credential_requests, "_LEAST_SECONDS", 0.3)
    with opened(monkeypatch, service) as store:

        def failure(number: int) -> MistralOffloadError:
            with pytest.raises(MistralOffloadError) as caught:
                store.put(f"k{number}", b"data")
            return caught.value

        with Threads() as threads:
            found = threads.map(failure, range(CALLERS))
        assert {type(error) for error in found} == {StorageUnavailableError}
        assert all("no credentials within 0.3 s" in str(error) for error in found)
        assert {getattr(error, "key", None) for error in found} == {f"k{n}" for n in range(CALLERS)}
        assert service.requests == 1


@pytest.mark.parametrize("opened", [google, azure])
def test_a_refusal_serves_all_who_wait(
    opened: Callable[[pytest.MonkeyPatch, Service], BlobStore],
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if opened is google:
        from google.auth.exceptions import DefaultCredentialsError

        service.error = DefaultCredentialsError("none")
    else:
        from azure.core.exceptions import ClientAuthenticationError

        service.error = ClientAuthenticationError("none")
    monkeypatch.setattr(credential_requests, "_LEAST_SECONDS", PATIENCE_SECONDS)
    with opened(monkeypatch, service) as store:
        caught: list[Exception] = []

        def put(number: int) -> None:
            try:
                store.put(f"k{number}", b"data")
            except Exception as error:
                caught.append(error)

        with Threads() as callers:
            for number in range(CALLERS):
                callers.submit(put, number)
            wait_until(lambda: service.requests == 1)
            service.released.set()
        assert [type(error) for error in caught] == [StorageAccessDeniedError] * CALLERS
