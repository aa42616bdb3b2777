"""The blocks of pages that need a worker of their own: files, and events."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mistral_offload.api.models.events import WorkflowEvent
from mistral_offload.devserver import LocalPlatform
from mistral_offload.testing import WorkflowWorker
from mistral_offload.workflows.registry import registry
from tests.docs.pages import pages_with_programs

pytestmark = pytest.mark.server

PAGES = pages_with_programs()

SUMMARIZE = """
import mistral_offload.workflows as workflows
from mistral_offload import OffloadableField, OffloadableFile
from pydantic import BaseModel


class Summary(BaseModel):
    text: str
    subtitles: OffloadableFile


@workflows.activity()
async def subtitle(audio: OffloadableFile) -> Summary:
    size = sum([len(chunk) async for chunk in audio])
    return Summary(
        text=f"{size} bytes of {audio.content_type}",
        subtitles=OffloadableFile.from_bytes(b"00:00 All work", name="talk.srt"),
    )


@workflows.workflow.define(name="summarize")
class Summarize:
    @workflows.workflow.entrypoint
    async def run(self, audio: OffloadableFile) -> Summary:
        return await subtitle(audio)


class Transcript(BaseModel):
    audio_id: str
    text: OffloadableField[str]


@workflows.activity()
async def write_down(audio_id: str) -> Transcript:
    return Transcript(audio_id=audio_id, text=OffloadableField("All work " * 300_000))


@workflows.workflow.define(name="transcribe")
class Transcribe:
    @workflows.workflow.entrypoint
    async def run(self, audio_id: str) -> Transcript:
        return await write_down(audio_id)
"""

REPLY = """
{block}

@workflows.workflow.define(name="reply-to")
class ReplyTo:
    @workflows.workflow.entrypoint
    async def run(self, prompt: str) -> str:
        return await reply(prompt)
"""

Load = Callable[[str, str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return a function that imports a text as a module, for the sandbox to find it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Activities of pages would otherwise stay known to the workers of later tests.
    monkeypatch.setattr(registry, "_activities", registry._activities.copy())
    names: list[str] = []

    def load(name: str, text: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(text)
        names.append(name)
        return importlib.import_module(name)

    yield load
    for name in names:
        sys.modules.pop(name, None)


def run(text: str, names: dict[str, Any]) -> None:
    """Run a block as it is printed, without the annotations of this module."""
    exec(compile(text, "block", "exec", dont_inherit=True), names)


def test_files_and_fields_in_results(
    local_platform: LocalPlatform,
    load: Load,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record, send = PAGES["docs/files.md"]
    (receive,) = PAGES["docs/client.md"]
    page, other = load("page_files", record), load("summaries", SUMMARIZE)
    activities = [page.record, page.first_second, other.subtitle, other.write_down]
    with WorkflowWorker(
        [page.RecordATalk, other.Summarize, other.Transcribe],
        platform=local_platform,
        activities=activities,
    ) as worker:
        ended = worker.execute(page.RecordATalk, {"title": "talk"})
        assert ended.result == {"result": 96_000}
        (tmp_path / "talk.wav").write_bytes(bytes(10_000_000))
        call = worker.client.workflows.execute_workflow_and_wait

        def execute(*arguments: Any, **options: Any) -> Any:
            return call(*arguments, **options, deployment_name=worker.deployment_name)

        worker.client.workflows.execute_workflow_and_wait = execute  # type: ignore[method-assign]
        names: dict[str, Any] = {"Mistral": lambda **_: nullcontext(worker.client)}
        capsys.readouterr()
        run(receive.replace(", Mistral,", ","), names)
        assert capsys.readouterr().out == "All work " * 300_000 + "\n"
        assert any(key.endswith("/text") for key in worker.store.sizes)
        names = {"Mistral": lambda **_: worker.client}
        text = send.replace(", Mistral,", ",")
        run(text, names)
        assert names["summary"].text == "10000000 bytes of audio/x-wav"
    assert (tmp_path / "talk.srt").read_bytes() == b"00:00 All work"


def test_events(
    local_platform: LocalPlatform, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    reply, stream, unreadable = PAGES["docs/events.md"]
    page = load("page_events", REPLY.format(block=reply))
    with WorkflowWorker([page.ReplyTo], platform=local_platform, activities=[page.reply]) as worker:
        ended = worker.execute(page.ReplyTo, {"prompt": "All work"})
        assert ended.result == {"result": "All work and more"}
        names: dict[str, Any] = {"Mistral": lambda **_: nullcontext(worker.client)}
        run(_with_client(stream, ended.execution_id), names)
        assert " and more" in capsys.readouterr().out
        run(_with_client(unreadable, ended.execution_id), names)
    assert isinstance(names["event"], WorkflowEvent)


def _with_client(text: str, execution_id: str) -> str:
    """Return a block that uses the test's client and execution."""
    return text.replace("from mistral_offload import Mistral\n", "").replace(
        "EXECUTION_ID", execution_id
    )
