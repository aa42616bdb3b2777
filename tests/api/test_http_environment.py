"""Proxies and certificates of the environment, and the errors for values that cannot be used."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import traceback
from pathlib import Path

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload._http_environment import read_proxies
from mistral_offload.errors import APIConnectionError, ConfigurationError
from tests.servers.scripted import ScriptedServer

PASSWORD = "THE-PASSWORD"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)


def call(url: str = "http://127.0.0.1:9") -> None:
    client = Mistral("key", server_url=url)
    client.workflows.executions.get_workflow_execution("e", retries=None, timeout_ms=5000)


async def call_async() -> None:
    client = Mistral("key", server_url="http://127.0.0.1:9")
    await client.workflows.executions.get_workflow_execution_async("e", retries=None)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:7891/", "'socks://127.0.0.1:7891'"),
        ("ALL_PROXY", f"socks://user:{PASSWORD}@127.0.0.1:7891", "'socks://***@127.0.0.1:7891'"),
        ("https_proxy", f"ftp://user:{PASSWORD}@host", "'ftp://***@host'"),
        ("HTTP_PROXY", f"http://user:{PASSWORD}@host:port", "not shown"),
        ("HTTPS_PROXY", f"http://user:{PASSWORD}", "not shown"),
        ("HTTP_PROXY", f"user:{PASSWORD}@ho st:1", "'http://***@ho st:1'"),
        ("http_proxy", "http://", "not shown"),
        ("ALL_PROXY", f"http://[::1:{PASSWORD}", "not shown"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    for use in (call, lambda: asyncio.run(call_async())):
        with pytest.raises(ConfigurationError) as caught:
            use()
        text = str(caught.value)
        assert text.startswith(f"{name} is not a proxy that can be used: ")
        assert shown in text
        assert "unset it" in text
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:{PASSWORD}@127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match=r"pip install .httpx\[socks\]") as caught:
        call()
    assert "ALL_PROXY is a SOCKS proxy, 'socks5://***@127.0.0.1:1'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SSL_CERT_FILE", None),
        ("SSL_CERT_FILE", "no certificate"),
        ("SSL_CERT_DIR", None),
        ("SSLKEYLOGFILE", None),
    ],
)
def test_certificates_that_cannot_be_read_are_named_by_their_variable(
    name: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "folder" / "file"
    if content is not None:
        place.parent.mkdir()
        place.write_text(content)
    monkeypatch.setenv(name, str(place))
    with pytest.raises(ConfigurationError, match=f"{name} names '{place}'") as caught:
        call()
    assert "unset" in str(caught.value)


def test_certificates_that_can_be_read_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    loaded: list[tuple[str | None, str | None]] = []
    create = ssl.create_default_context

    def observed(*, cafile: str | None, capath: str | None) -> ssl.SSLContext:
        loaded.append((cafile, capath))
        return create(cafile=cafile, capath=capath)

    monkeypatch.setattr(ssl, "create_default_context", observed)
    for name, place in (("SSL_CERT_DIR", str(tmp_path)), ("SSL_CERT_FILE", certifi.where())):
        monkeypatch.setenv(name, place)
        with pytest.raises(APIConnectionError):
            call()
    assert loaded == [(None, str(tmp_path)), (certifi.where(), None)]


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        ("::1,[::1]", ["http://[::1]/"], ["http://host/"]),
        ("fe80::/10,host", ["http://host/", "http://a.host/"], ["http://other/"]),
        ("[fe80::1,]bad[,ho st,host", ["http://host/"], ["http://other/"]),
        (".host,*.corp", ["http://a.host/", "http://a.corp/"], ["http://host/"]),
        ("10.0.0.1, localhost ,,", ["http://10.0.0.1/", "http://localhost/"], ["http://10.0.0.2/"]),
        ("*", ["http://host/"], []),
        ("", [], ["http://host/"]),
    ],
)
def test_entries_of_no_proxy_that_cannot_be_used_are_passed_over(
    no_proxy: str, direct: list[str], proxied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)

    def named(route: str) -> httpx.MockTransport:
        return httpx.MockTransport(lambda _: httpx.Response(200, text=route))

    mounts = {
        pattern: None if proxy is None else named("proxy")
        for pattern, proxy in read_proxies().items()
    }
    with httpx.Client(transport=named("direct"), mounts=mounts) as client:
        assert [client.get(url).text for url in direct] == ["direct"] * len(direct)
        assert [client.get(url).text for url in proxied] == ["proxy"] * len(proxied)
    with pytest.raises(APIConnectionError):
        call()


def test_requests_go_through_the_proxy_with_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = b"HTTP/1.1 407 no\r\ncontent-length: 0\r\n\r\n"
    with ScriptedServer(answer) as proxy:
        host = proxy.url.removeprefix("http://")
        monkeypatch.setenv("http_proxy", f"user:{PASSWORD}@{host}")
        with pytest.raises(Exception, match="407") as caught:
            call("http://platform.invalid")
        ((head, _),) = proxy.requests
    assert "proxy-authorization" in head.fields
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
