# Generated from tests/_async/test_config_vectors.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: ece4434ee23de8e0

"""Server, authentication and timeout resolution, against the official client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from mistral_offload.errors import ServiceAccountTokenError
from tests._sync.recording import Recording, execution, make_client
from tests.vectors import Case, Differences, load, parameters

DIFFERENCES = Differences(
    {
        "server_url_template": "server_url is given whole; there is no url_params",
        "auth_lowercase_header_override": "header names are case-insensitive, so one value is sent",
        "constructor_workflow_payload_offloading": "the documented argument exists here",
    }
)
LATER = {"timeout_stream_default", "events_alias_on_root"}
"""Cases of operations that this version does not have."""


def cases() -> list[Case]:
    return [case for case in load("client_config") if case["name"] not in LATER]


@pytest.mark.parametrize("case", parameters(cases()))
def test_resolution(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    recording = Recording([httpx.Response(200, json=execution())])
    name, expected = case["name"], case["expected"]

    if name == "server_url_template":
        with pytest.raises(TypeError, match="url_params"):
            make_client(recording, **settings)
        return
    if name == "server_unknown":
        with pytest.raises(ValueError, match="mars"):
            make_client(recording, **settings)
        return
    # The recorded calls are of get_workflow; how they are addressed does not depend on that.
    arguments = dict(case["call"]["kwargs"])
    arguments.pop("workflow_identifier", None)
    call = make_client(recording, **settings).workflows.executions.get_workflow_execution
    if "error" in expected and name not in DIFFERENCES:
        with pytest.raises(ServiceAccountTokenError, match="MISTRAL_SA_TOKEN_PATH"):
            call("w", **arguments)
        return
    call("w", **arguments)

    (request,) = recording.requests
    authorization = request.headers.get("authorization")
    if name == "auth_lowercase_header_override":
        assert authorization == "Bearer low"
        return
    if name == "constructor_workflow_payload_offloading":
        assert authorization == "Bearer pk-1"
        return
    assert authorization == expected["authorization"]
    server = expected["url"].partition("/v1/")[0]
    assert str(request.url).partition("/v1/")[0] == server
    assert request.extensions["timeout"] == expected["timeout"]


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(cases())
    assert {case["name"] for case in load("client_config")} >= LATER
