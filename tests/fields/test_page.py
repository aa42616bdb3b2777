"""Runs the Python of docs/activity-fields.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.storage import MemoryStore

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "activity-fields.md").read_text()


async def test_the_programs() -> None:
    names: dict[str, Any] = {"__name__": "activity_fields_page"}
    for program in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(program, "page", "exec", dont_inherit=True), names)
    storage = BlobStorageConfig(bucket_name="b")
    offloader = FieldOffloader(FieldOffloadingConfig(storage_config=storage), store=MemoryStore())
    transcript = await names["transcribe"]("tape")
    moved = await offloader.offload_async(transcript, namespace="n", run_id="r")
    assert moved.text.is_offloaded
    lazy = await offloader.restore_async(moved, lazy=True)
    assert await names["first_words"](lazy) == ("word " * 20)
    assert (await names["measure"](await offloader.restore_async(moved))).length == 5_000_000


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", PAGE)
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
