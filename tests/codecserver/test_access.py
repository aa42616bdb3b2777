"""Access control: tokens, pages, host names, links, and request limits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from mistral_offload.codecserver.links import Linked, LinkRefusedError, Links
from mistral_offload.codecserver.options import CodecServerOptions, read_origin
from mistral_offload.errors import ConfigurationError
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
def test_without_the_token_nothing_is_answered(server: CodecServer, header: str, path: str) -> None:
    answer = server.http.post(path, content=BODY, headers={"authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


def test_health_needs_no_token(server: CodecServer) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


def test_the_page_of_the_ui_may_ask(server: CodecServer) -> None:
    preflight = server.http.options(
        "/decode",
        headers={
            "origin": UI,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-namespace",
            "authorization": "",  # browsers send no token with it
        },
    )
    assert preflight.status_code == 200
    answer = server.http.post("/decode", content=BODY, headers={"origin": UI})
    assert answer.status_code == 200
    for each in (preflight, answer):
        assert each.headers["access-control-allow-origin"] == UI
        assert "Origin" in each.headers["vary"]
        assert "access-control-allow-credentials" not in each.headers


def test_the_page_of_the_ui_sees_why_it_was_refused(server: CodecServer) -> None:
    headers = {"origin": UI, "authorization": "Bearer wrong"}
    answer = server.http.post("/decode", content=BODY, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == UI


@pytest.mark.parametrize(
    "origin", ["http://localhost:8234", "https://localhost:8233", "http://evil.example", "null"]
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_another_page_gets_nothing(server: CodecServer, origin: str, method: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    answer = server.http.request(method, "/decode", content=BODY, headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8888", "10.0.0.1", ""])
def test_without_a_token_only_loopback_names_are_answered(
    open_server: CodecServer, host: str
) -> None:
    answer = open_server.http.post("/decode", content=BODY, headers={"host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1234", "[::1]:80", "LOCALHOST"])
def test_loopback_names(open_server: CodecServer, host: str) -> None:
    answer = open_server.http.post("/decode", content=BODY, headers={"host": host})
    assert answer.status_code == 200


def test_only_the_namespaces_it_was_given(server: CodecServer) -> None:
    answer = server.http.post("/decode", content=BODY, headers={"x-namespace": "another"})
    assert answer.status_code == 403
    assert "'another'" in answer.text


def test_a_request_that_names_no_namespace(server: CodecServer) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{server.url}/decode", content=BODY, headers=headers)
    assert answer.status_code == 400
    assert "X-Namespace" in answer.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"x" * (17 * 2**20), 413),
        (body(*[plain(1)] * 1001), 413),
        (b"no json", 400),
        (b'{"payloads": [{"data": 5}]}', 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
    ],
    ids=["long", "many", "text", "another type", "deep", "not utf-8"],
)
def test_bodies_it_does_not_take(server: CodecServer, content: bytes, status: int) -> None:
    answer = server.http.post("/decode", content=content)
    assert answer.status_code == status
    assert "error" in answer.json()


@pytest.mark.parametrize("link", ["", "x", "AAAA", "%25%25", "A" * 2000])
def test_links_that_are_none(server: CodecServer, link: str) -> None:
    answer = httpx.get(f"{server.url}/download", params={"link": link})
    assert answer.status_code == 403
    assert "not one of this server" in answer.text


def test_links_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    token = SecretStr(TOKEN)
    links = Links(token, seconds=60)
    linked = Linked(plain({"a": 1}), NAMESPACE)
    link = links.make(linked)
    assert link is not None
    assert links.read(link) == Links(token, seconds=5).read(link) == linked
    for place in range(0, len(link) - 1, 7):
        changed = link[:place] + ("A" if link[place] != "A" else "B") + link[place + 1 :]
        with pytest.raises(LinkRefusedError, match="not one of this server"):
            links.read(changed)
    for other in (Links(SecretStr("another"), seconds=60), Links(None, seconds=60)):
        with pytest.raises(LinkRefusedError, match="not one of this server"):
            other.read(link)
    monkeypatch.setattr("time.time", lambda: 10**10)
    with pytest.raises(LinkRefusedError, match="too old"):
        links.read(link)


def test_what_travels_inline_is_too_long_for_a_link() -> None:
    assert Links(None, seconds=60).make(Linked(plain("x" * 10_000), NAMESPACE)) is None


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
def test_what_is_no_origin(text: str) -> None:
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
