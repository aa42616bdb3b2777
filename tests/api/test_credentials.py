"""Keys, tokens, headers and URLs of the client: white space removed, secrets never quoted."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from mistral_offload import Mistral
from mistral_offload.codecserver.options import CodecServerOptions
from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import ConfigurationError, NotFoundError, ServiceAccountTokenError
from tests.servers.scripted import ScriptedServer

SECRET = "sk-THE-SECRET"

STRAY = {
    "a line break": f"{SECRET}\nx",
    "a NUL character": f"{SECRET}\0",
    "a tab": f"{SECRET}\tx",
    "a no-break space": f"{SECRET}\u00a0",
    "a space": f"{SECRET} x",
    "a control character": f"{SECRET}\x1b",
    "not an ASCII character": f"{SECRET}”",
}
"""Values with a character at position 14 that no key has."""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH", "SERVER_URL"):
        monkeypatch.delenv(name, raising=False)


class Platform:
    """An HTTP client for a `Mistral`, and the requests sent through it."""

    def __init__(self, **settings: Any) -> None:
        self.requests: list[httpx.Request] = []
        self.client = httpx.Client(transport=httpx.MockTransport(self._respond), **settings)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(204)

    def call(self, api_key: Any = None, **options: Any) -> httpx.Request:
        client = Mistral(api_key, client=self.client)
        client.workflows.executions.cancel_workflow_execution("e", **options)
        return self.requests[-1]


def refusal(call: Callable[[], object]) -> str:
    """Return the text of a ConfigurationError that shows the secret nowhere."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert "THE-SECRET" not in "".join(traceback.format_exception(caught.value))
    for link in chain(caught.value):
        assert "THE-SECRET" not in f"{link!r} {vars(link)} {getattr(link, 'object', '')}"
    return str(caught.value)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_white_space_at_the_ends_of_a_key_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = f"Bearer {SECRET}"
    padded = f" \t{SECRET}\r\n"
    assert Platform().call(padded).headers["authorization"] == expected
    assert Platform().call(lambda: padded).headers["authorization"] == expected
    assert Platform().call(f"Bearer {SECRET}\n").headers["authorization"].endswith(SECRET)
    monkeypatch.setenv("MISTRAL_API_KEY", padded)
    assert Platform().call().headers["authorization"] == expected
    (tmp_path / "token").write_text(padded)
    monkeypatch.setenv("MISTRAL_SA_TOKEN_PATH", str(tmp_path / "token"))
    assert Platform().call().headers["authorization"] == expected
    sent = Platform().call(http_headers={"x-proxy-token": f"\t{SECRET}\n"})
    assert sent.headers["x-proxy-token"] == SECRET
    settings = WorkerSettings(mistral_api_key=padded, temporal_api_key=padded)
    assert settings.platform_token() == settings.temporal_token(tls=True) == SECRET
    options = CodecServerOptions(token=SecretStr(padded))
    assert options.token == SecretStr(SECRET)


@pytest.mark.parametrize("character", STRAY)
def test_a_stray_character_is_named_by_setting_and_position(
    character: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, told = STRAY[character], f"character 14 is {character}"
    text = refusal(lambda: Mistral(value))
    assert text.startswith("api_key cannot be used")
    assert told in text
    assert told in refusal(lambda: Mistral(f" {value}")).replace("15", "14")
    assert told in refusal(lambda: Platform().call(lambda: value))
    settings = WorkerSettings(mistral_api_key=value, temporal_api_key=value)
    assert f"MISTRAL_API_KEY cannot be used: {told}" in refusal(settings.platform_token)
    assert f"TEMPORAL_API_KEY cannot be used: {told}" in refusal(
        lambda: settings.temporal_token(tls=True)
    )
    (tmp_path / "token").write_bytes(value.encode())
    monkeypatch.setenv("MISTRAL_SA_TOKEN_PATH", str(tmp_path / "token"))
    text = refusal(lambda: Platform().call())
    assert f"'{tmp_path / 'token'}' (MISTRAL_SA_TOKEN_PATH) cannot be used: {told}" in text
    if character != "a space":
        text = refusal(lambda: Platform().call("k", http_headers={"x-token": value}))
        assert "the header 'x-token' in http_headers" in text
        assert told in text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (SECRET.encode("utf-16"), "byte 1 begins a text in UTF-16"),
        (SECRET.encode() + b"\xff", "byte 14 is not text"),
        (f"\ufeff{SECRET}".encode(), "character 1 is a byte order mark"),
        (b" \n", "is empty"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_token_file_that_holds_no_token(
    content: bytes | None, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("MISTRAL_SA_TOKEN_PATH", str(file))
    with pytest.raises(ServiceAccountTokenError, match="MISTRAL_SA_TOKEN_PATH"):
        Platform().call()
    text = refusal(lambda: Platform().call())
    assert str(file) in text
    assert problem in text


def test_an_empty_key_is_refused_and_no_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("", " \n"):
        assert "api_key is empty" in refusal(lambda key=key: Mistral(key))  # type: ignore[misc]
    assert "api_key returned is empty" in refusal(lambda: Platform().call(lambda: ""))
    for other in (5, SecretStr(SECRET), b"key"):
        given: Any = other
        assert "api_key must be a text, not " in refusal(lambda given=given: Mistral(given))  # type: ignore[misc]
    assert "must be a text, not NoneType" in refusal(lambda: Platform().call(lambda: None))
    assert "authorization" not in Platform().call().headers
    monkeypatch.setenv("MISTRAL_API_KEY", " ")
    assert "MISTRAL_API_KEY is empty" in refusal(lambda: Platform().call())


def test_headers_that_no_request_can_have() -> None:
    text = refusal(lambda: Platform().call("k", http_headers={"x token": "v"}))
    assert "'x token' is not the name of a header" in text
    number: Any = 5
    text = refusal(lambda: Platform().call("k", http_headers={"x-number": number}))
    assert "the header 'x-number' in http_headers must be a text, not int" in text
    sent = Platform().call("k", http_headers={"x-empty": " ", "authorization": "Basic a b"})
    assert sent.headers["x-empty"] == ""
    assert sent.headers["authorization"] == "Basic a b"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_header_of_the_callers_client_is_not_quoted(is_async: bool) -> None:
    headers = {"x-token": f"{SECRET}\n"}
    with ScriptedServer(None) as server:
        if not is_async:
            with httpx.Client(headers=headers) as given:
                client = Mistral("k", client=given, server_url=server.url)
                text = refusal(lambda: client.workflows.executions.get_workflow_execution("e"))
        else:

            async def call() -> None:
                async with httpx.AsyncClient(headers=headers) as given:
                    client = Mistral("k", async_client=given, server_url=server.url)
                    await client.workflows.executions.get_workflow_execution_async("e")

            text = refusal(lambda: asyncio.run(call()))
    assert "a header of the HTTP client that was passed in" in text


@pytest.mark.parametrize(
    "url",
    [
        "nope",
        "ftp://host",
        "http://",
        "http://[::1",
        "http://host:port",
        "http://ho st",
        f"https://user:{SECRET}@host",
        f"https://{SECRET}@host",
        f"https://host/?sig={SECRET}",
        f"//user:{SECRET}@[",
    ],
)
def test_server_urls_that_cannot_be_used_are_refused_when_the_client_is_made(url: str) -> None:
    assert "server_url" in refusal(lambda: Mistral("k", server_url=url))
    assert "server_url" in refusal(lambda: Platform().call("k", server_url=url))
    if "http" not in url or SECRET in url:
        text = refusal(lambda: WorkerSettings(server_url=url))
        assert "SERVER_URL" in text
        assert "must not contain" in text or "not an http(s) address" in text
    assert Mistral("k", server_url=" http://127.0.0.1:9/ ") is not None


@pytest.mark.parametrize(
    ("variable", "arguments", "host"),
    [
        (" https://own.test/base/ ", {}, "own.test"),
        ("https://own.test", {"server": "eu"}, "api.eu.mistral.ai"),
        ("https://own.test", {"server_url": "https://given.test"}, "given.test"),
        ("", {}, "api.mistral.ai"),
        ("null", {}, "api.mistral.ai"),
        (None, {}, "api.mistral.ai"),
    ],
)
def test_the_url_of_the_environment(
    variable: str | None,
    arguments: dict[str, Any],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("SERVER_URL", variable)
    sent: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(404, json={})

    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        mistral = Mistral("k", client=client, **arguments)
        monkeypatch.setenv("SERVER_URL", "https://later.test")  # read when the client is made
        with pytest.raises(NotFoundError):
            mistral.workflows.executions.get_workflow_execution("e")
    assert sent[0].url.host == host
    if host == "own.test":
        assert sent[0].url.path.startswith("/base/v1/")


def test_a_url_of_the_environment_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_URL", f"https://user:{SECRET}@host")
    assert "SERVER_URL must not contain" in refusal(lambda: Mistral("k"))


def test_urls_of_other_settings() -> None:
    text = refusal(lambda: WorkerSettings(temporal_server_url=f"grpcs://u:{SECRET}@host:7233"))
    assert "TEMPORAL_SERVER_URL: must not contain a user name or a password" in text
    for setting in ("public_url", "ui_origins"):
        url = f"http://user:{SECRET}@host"
        given: Any = {setting: url if setting == "public_url" else (url,)}
        assert "http://***@host" in refusal(
            lambda given=given: CodecServerOptions(token=None, **given)  # type: ignore[misc]
        )


def test_encryption_keys_and_codec_server_tokens() -> None:
    key = "ab" * 16
    assert PayloadEncryptionConfig(mode="full", main_key=f" {key}\n").keys == (bytes.fromhex(key),)  # type: ignore[arg-type]
    text = refusal(lambda: PayloadEncryptionConfig(mode="full", main_key=f"ab{SECRET}"))  # type: ignore[arg-type]
    assert "main_key: a key must be hex digits, two per byte, and character 3 is none" in text
    text = refusal(lambda: CodecServerOptions(token=SecretStr(f"{SECRET}“")))
    assert text.startswith("token cannot be used: character 14")


# Arguments of another type


@pytest.mark.parametrize(
    "arguments",
    [
        {"server_url": 5},
        {"server_url": b"https://example.test"},
        {"timeout_ms": "5s"},
        {"timeout_ms": -5},
        {"timeout_ms": float("nan")},
        {"retry_config": "none"},
        {"hold_seconds": "5"},
        {"hold_seconds": None},
        {"max_response_bytes": b"1MB"},
        {"max_response_bytes": None},
        {"client": httpx.AsyncClient()},
        {"async_client": httpx.Client()},
    ],
)
def test_argument_that_no_request_could_use(arguments: dict[str, Any]) -> None:
    """It fails when the client is made, not with the first request, and the error names it."""
    (name,) = arguments
    with pytest.raises(ConfigurationError, match=name):
        Mistral(api_key="k" * 20, **arguments)
