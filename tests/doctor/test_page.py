"""The page about the command names every check that there is."""

from __future__ import annotations

import re
from pathlib import Path

from mistral_offload.devserver import LocalPlatform
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

from .examinations import findings_of, settings_for

DOCS = Path(__file__).parents[2] / "docs"


async def test_the_page_names_every_check(
    seaweed: Seaweed, local_platform: LocalPlatform, tmp_path: Path
) -> None:
    config = s3_config(seaweed, seaweed.make_bucket(), cache_directory=tmp_path)
    settings = settings_for(
        local_platform,
        payloads=config,
        fields=config,
        temporal_payload_encryption={"mode": "full", "main_key": "8f" * 32},
    )
    page = (DOCS / "doctor.md").read_text()
    named = set(re.findall(r"`([a-z_….]+)`", page))
    ids = {re.sub(r"^(payload|field)_store", "…", id) for id in await findings_of(settings)}
    assert ids - named == set()
