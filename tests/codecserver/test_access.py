"""Access to the codec server: tokens, pages, host names, links, and limits."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from mistral_offload.codecserver import bodies, create_app
from mistral_offload.codecserver.links import LinkRefusedError, Links, LinkTarget
from mistral_offload.codecserver.options import CodecServerOptions, read_origin
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.encoder import PayloadEncoder
from tests.cli.command import call_command
from tests.codecserver.process import NAMESPACE, TOKEN, CodecServer, body, plain, variables

UI = "http://localhost:8233"
BODY = body(plain(1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodecServer]:
    environment = variables(tmp_path_factory.mktemp("blobs"))
    with CodecServer(environment, "--ui-origin", UI, "--namespace", NAMESPACE) as running:
        yield running


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodecServer]:
    environment = variables(tmp_path_factory.mktemp("blobs"))
    with CodecServer(environment, "--auth", "none", "--ui-origin", UI) as running:
        yield running


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
@pytest.mark.parametrize("path", ["/decode", "/encode", "/download", f"/{NAMESPACE}/decode"])
def test_requests_without_the_token_are_rejected(
    server: CodecServer, header: str, path: str
) -> None:
    response = server.http.post(path, content=BODY, headers={"authorization": header.encode()})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in response.text


def test_health_needs_no_token(server: CodecServer) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


def test_the_page_of_the_ui_is_allowed(server: CodecServer) -> None:
    preflight = server.http.options(
        "/decode",
        headers={
            "origin": UI,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-namespace",
            "authorization": "",  # browsers send none with a preflight request
        },
    )
    assert preflight.status_code == 200
    response = server.http.post("/decode", content=BODY, headers={"origin": UI})
    assert response.status_code == 200
    for each in (preflight, response):
        assert each.headers["access-control-allow-origin"] == UI
        assert "Origin" in each.headers["vary"]
        assert "access-control-allow-credentials" not in each.headers


def test_the_page_of_the_ui_can_read_the_error(server: CodecServer) -> None:
    headers = {"origin": UI, "authorization": "Bearer wrong"}
    response = server.http.post("/decode", content=BODY, headers=headers)
    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == UI


@pytest.mark.parametrize(
    "origin", ["http://localhost:8234", "https://localhost:8233", "http://evil.example", "null"]
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_another_page_is_rejected(server: CodecServer, origin: str, method: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    response = server.http.request(method, "/decode", content=BODY, headers=headers)
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8888", "10.0.0.1", "", "[::1]evil.example", "localhost:x"],
)
def test_without_a_token_only_loopback_names_are_accepted(
    open_server: CodecServer, host: str
) -> None:
    response = open_server.http.post("/decode", content=BODY, headers={"host": host})
    assert response.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1234", "[::1]:80", "LOCALHOST"])
def test_loopback_names(open_server: CodecServer, host: str) -> None:
    response = open_server.http.post("/decode", content=BODY, headers={"host": host})
    assert response.status_code == 200


def test_only_the_namespaces_it_was_given(server: CodecServer) -> None:
    response = server.http.post("/decode", content=BODY, headers={"x-namespace": "another"})
    assert response.status_code == 403
    assert "'another'" in response.text


def test_a_request_that_names_no_namespace(server: CodecServer) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    response = httpx.post(f"{server.url}/decode", content=BODY, headers=headers)
    assert response.status_code == 400
    assert "X-Namespace" in response.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"x" * (17 * 2**20), 413),
        (body(*[plain(1)] * 1001), 413),
        (json.dumps({"payloads": [{"metadata": {f"k{n}": "" for n in range(20_000)}}]}), 413),
        (json.dumps({"payloads": [{}] * 900 + [{"metadata": {"a": "aGk="}}]}), 200),
        (b'{"payloads":' * 100_000, 413),
        (b'{"payloads": 5}', 400),
        (b'[{"payloads": []}]', 400),
        (b'{"payloads": [{"metadata": {"\\ud800": "aGk="}}]}', 400),
        (b'{"payloads": [{"data": ' + b"9" * 5000 + b"}]}", 400),
        (b"no json", 400),
        (b'{"payloads": [{"data": 5}]}', 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
    ],
)
def test_bodies(server: CodecServer, content: bytes, status: int) -> None:
    response = server.http.post("/decode", content=content)
    assert response.status_code == status
    assert ("error" in response.json()) == (status != 200)


def test_a_body_that_is_too_long_is_rejected_on_the_way(server: CodecServer) -> None:
    response = server.http.post("/decode", content=(b"x" * 2**20 for _ in range(17)))
    assert response.status_code == 413
    assert "16,777,216" in response.json()["error"]


async def test_bodies_are_parsed_and_written_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def spied(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            threads.append(threading.get_ident())
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(bodies, "ParseDict", spied(bodies.ParseDict))
    monkeypatch.setattr(bodies, "MessageToJson", spied(bodies.MessageToJson))
    app = create_app(PayloadEncoder(), CodecServerOptions(token=None))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        headers = {"x-namespace": NAMESPACE}
        response = await client.post("/decode", content=BODY, headers=headers)
    assert response.status_code == 200
    assert len(threads) == 2
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("link", ["", "x", "AAAA", "%25%25", "A" * 2000])
def test_invalid_links(server: CodecServer, link: str) -> None:
    response = httpx.get(f"{server.url}/download", params={"link": link})
    assert response.status_code == 403
    assert "not made by this server" in response.text


def test_signatures_of_links(monkeypatch: pytest.MonkeyPatch) -> None:
    token = SecretStr(TOKEN)
    links = Links(token, seconds=60)
    target = LinkTarget(plain({"a": 1}), NAMESPACE)
    link = links.make(target)
    assert link is not None
    assert links.read(link) == Links(token, seconds=5).read(link) == target
    for n in range(0, len(link) - 1, 7):
        changed = link[:n] + ("A" if link[n] != "A" else "B") + link[n + 1 :]
        with pytest.raises(LinkRefusedError, match="not made by this server"):
            links.read(changed)
    for other in (Links(SecretStr("another"), seconds=60), Links(None, seconds=60)):
        with pytest.raises(LinkRefusedError, match="not made by this server"):
            other.read(link)
    monkeypatch.setattr("time.time", lambda: 10**10)
    with pytest.raises(LinkRefusedError, match="has expired"):
        links.read(link)


def test_a_large_inline_payload_gets_no_link() -> None:
    assert Links(None, seconds=60).make(LinkTarget(plain("x" * 10_000), NAMESPACE)) is None


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://localhost:8233", "http://localhost:8233"),
        ("HTTPS://Temporal.Example.com:443/", "https://temporal.example.com"),
        ("http://[::1]:8233", "http://[::1]:8233"),
    ],
)
def test_origins(text: str, origin: str) -> None:
    assert read_origin(text) == origin


@pytest.mark.parametrize(
    "text", ["*", "localhost:8233", "http://a/path", "ftp://a", "http://u:p@a", "http://a:x", ""]
)
def test_invalid_origins(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the origin of a page"):
        CodecServerOptions(token=None, ui_origins=(text,))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "MISTRAL_OFFLOAD_CODEC_TOKEN holds no token"),
        (("--auth", "none", "--host", "0.0.0.0"), "not a loopback address"),
        (("--auth", "none", "--ui-origin", "*"), "not the origin of a page"),
        (("--auth", "none", "--public-url", "nowhere"), "not the http(s) address"),
        (("--auth", "basic"), "Invalid value for '--auth'"),
    ],
)
def test_it_does_not_start(options: tuple[str, ...], complaint: str) -> None:
    ended = call_command("codec-server", *options)
    assert ended.returncode == 2
    assert complaint in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_a_token_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("the-token-of-the-file\n")
    with CodecServer(variables(tmp_path), "--token-file", str(file)) as server:
        assert server.http.post("/decode", content=BODY).status_code == 401
        headers = {"authorization": "Bearer the-token-of-the-file"}
        assert server.http.post("/decode", content=BODY, headers=headers).status_code == 200
        assert server.end(signal.SIGINT)[0] == 0


def test_a_token_too_short_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    ended = call_command("codec-server", "--token-file", str(tmp_path / "token"))
    assert ended.returncode == 2
    assert "at least 16 characters" in ended.stderr
