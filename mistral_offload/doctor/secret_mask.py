"""Masks secrets in findings, also those quoted by servers and SDKs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from mistral_offload.doctor.findings import Finding
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import ServiceAccountTokenError

_MIN_LENGTH = 8
"""Masking a shorter text would garble findings, and protects nothing."""

_IN_CONNECTION_STRING = re.compile(r"(?:AccountKey|SharedAccessSignature)=([^;]+)")


class SecretMask:
    """Replaces the secrets of settings in findings."""

    def __init__(self, settings: WorkerSettings) -> None:
        known = set(_secrets_in(settings))
        with suppress(ServiceAccountTokenError):  # reported by the check of the token
            known.add(settings.platform_token() or "")
        known |= {piece for text in known for piece in _IN_CONNECTION_STRING.findall(text)}
        # The longest first, since one may be part of another.
        self._secrets = sorted((s for s in known if len(s) >= _MIN_LENGTH), key=len, reverse=True)

    def hide(self, finding: Finding) -> Finding:
        """Return the finding with secrets replaced by ``***``."""
        remedy = None if finding.remedy is None else self._hide(finding.remedy)
        return replace(finding, detail=self._hide(finding.detail), remedy=remedy)

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, (tuple, list)):
        for item in cast("list[Any]", value):
            yield from _secrets_in(item)
