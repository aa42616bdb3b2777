"""Proxies and certificates from variables: as every session of ``requests`` applies them."""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests

_NAMES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HTTP_PROXY": "http://proxy:1"},
        {"http_proxy": "http://proxy:1", "no_proxy": "other,127.0.0.1"},
        {"ALL_PROXY": "http://proxy:2", "NO_PROXY": "*"},
        {"https_proxy": ""},
        {"REQUESTS_CA_BUNDLE": "/first.pem", "CURL_CA_BUNDLE": "/second.pem"},
        {"CURL_CA_BUNDLE": "/second.pem", "HTTPS_PROXY": "http://proxy:3"},
        {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "/second.pem"},
    ],
)
def test_the_settings_of_a_request_are_those_of_a_plain_session(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistral_offload.storage._http_variables import VariablesSession

    for name in os.environ:
        if name.lower().endswith("_proxy") or name in _NAMES:
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours, plain = VariablesSession(), requests.Session()
    checked = 0
    for own in (
        {},
        {"verify": False},
        {"verify": "/own.pem"},
        {"proxies": {"http": "http://own:4"}},
    ):
        for trusts in (True, False):
            for session in (ours, plain):
                session.__dict__.update(own, trust_env=trusts)
            for url in ("http://127.0.0.1:80/k", "https://storage.example/k"):
                for verify in (None, True, False, "/given.pem"):
                    for proxies in (None, {}, {"https": "http://given:5"}):
                        found, wanted = (
                            session.merge_environment_settings(
                                url,
                                dict(proxies) if proxies is not None else None,
                                True,
                                verify,
                                None,
                            )
                            for session in (ours, plain)
                        )
                        assert _plain(found) == _plain(wanted)
                        checked += 1
    assert checked


def _plain(settings: Any) -> dict[str, object]:
    return {**settings, "proxies": dict(settings["proxies"] or {})}
