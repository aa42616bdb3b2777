"""Recorded cases of the platform's wire format. The JSON files are facts: never edit them."""

from __future__ import annotations

import base64
import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import PayloadCompressionConfig, PayloadEncryptionConfig, ZstdConfig
from mistral_offload.payload import encryption

Case = dict[str, Any]


@cache
def load(name: str) -> list[Case]:
    """Load all cases of one vector file."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())["cases"]


def parameters(cases: Iterable[Case]) -> list[Any]:
    """Return the cases as pytest parameters, named as in the file."""
    return [pytest.param(case, id=case["name"]) for case in cases]


class Differences(Mapping[str, str]):
    """Name patterns of cases where we differ intentionally, each with the reason."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = dict(reasons)

    def __getitem__(self, name: str) -> str:
        for pattern, reason in self._reasons.items():
            if fnmatch.fnmatchcase(name, pattern):
                return reason
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._reasons)

    def __len__(self) -> int:
        return len(self._reasons)

    def unused(self, cases: Iterable[Case]) -> set[str]:
        """Return the patterns that match no case."""
        names = [case["name"] for case in cases]
        return {pattern for pattern in self._reasons if not fnmatch.filter(names, pattern)}


def encryption_of(config: Mapping[str, Any]) -> PayloadEncryptionConfig | None:
    """Return the recorded encryption; blobs stay in the clear, as in the official packages."""
    recorded = config.get("encryption")
    return PayloadEncryptionConfig(**recorded, encrypt_blobs=False) if recorded else None


def compression_of(config: Mapping[str, Any]) -> PayloadCompressionConfig | None:
    """Return the recorded compression."""
    if "compression" not in config:
        return None
    recorded = dict(config["compression"])
    level = ZstdConfig(level=recorded.pop("level", 3))
    return PayloadCompressionConfig(**recorded, algorithm_config=level)


def use_nonces(case: Case, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Make encryption use the recorded nonces in order; return those not used yet."""
    remaining = [bytes.fromhex(text) for text in case.get("nonces", [])]
    monkeypatch.setattr(encryption, encryption.new_nonce.__name__, lambda: remaining.pop(0))
    return remaining


def b64(text: str) -> bytes:
    return base64.b64decode(text)
