"""Server, authentication and timeout resolution, against the official client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mistral_offload.errors import ConfigurationError, ServiceAccountTokenError
from tests._async.calls import call_async, response_to
from tests._async.recorder import Recording, make_client
from tests.vectors import Case, Differences, load, parameters

DIFFERENCES = Differences(
    {
        "server_url_template": "server_url is given whole; there is no url_params",
        "auth_lowercase_header_override": "header names are case-insensitive, so one value is sent",
        "auth_key_empty_string": "an empty key is a mistake, and refused when the client is made",
        "constructor_workflow_payload_offloading": "the documented argument exists here",
    }
)


def cases() -> list[Case]:
    return load("client_config")


@pytest.mark.parametrize("case", parameters(cases()))
async def test_resolution(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    token_file = tmp_path / "token"
    token_file.write_text(case.get("sa_token", ""))
    for name, value in case["env"].items():
        monkeypatch.setenv(name, value.replace("$TOKEN_FILE", str(token_file)))
    settings: dict[str, Any] = {"api_key": None, **case["client"]}
    if isinstance(settings["api_key"], dict):
        key = settings["api_key"]["$callable"]
        settings["api_key"] = lambda: key
    operation = case["call"]["operation"]
    full_name = operation if operation.startswith("workflows.") else f"workflows.{operation}"
    recording = Recording([response_to(full_name)])
    name, expected = case["name"], case["expected"]

    if name == "server_url_template":
        with pytest.raises(TypeError, match="url_params"):
            make_client(recording, **settings)
        return
    if name == "server_unknown":
        with pytest.raises(ValueError, match="mars"):
            make_client(recording, **settings)
        return
    if name == "auth_key_empty_string":
        with pytest.raises(ConfigurationError, match="api_key is empty"):
            make_client(recording, **settings)
        return
    client, arguments = make_client(recording, **settings), case["call"]["kwargs"]
    if "error" in expected and name not in DIFFERENCES:
        with pytest.raises(ServiceAccountTokenError, match="MISTRAL_SA_TOKEN_PATH"):
            await call_async(client, operation, arguments)
        return
    await call_async(client, operation, arguments)

    (request,) = recording.requests
    authorization = request.headers.get("authorization")
    if name == "auth_lowercase_header_override":
        assert authorization == "Bearer low"
        return
    if name == "constructor_workflow_payload_offloading":
        assert authorization == "Bearer pk-1"
        return
    assert authorization == expected["authorization"]
    assert str(request.url) == expected["url"]
    assert request.extensions["timeout"] == expected["timeout"]


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(cases())
