"""``mistral-offload blobs`` on a real bucket and a real Temporal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from mistral_offload.devserver import LocalPlatform
from mistral_offload.storage import BlobStore
from mistral_offload.storage.s3 import S3Store
from tests.bounds import PATIENCE_SECONDS, child, kill, wait_until, within
from tests.cleanup.worlds import World, make_world, run_id_of
from tests.servers.process import free_ports
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

from .command import call_command, command_line, run_command

BATCH = 50
"""Blobs in a batch, and in a page of a listing, in place of a thousand."""

SMALL_BATCHES = [
    ("mistral_offload.cleanup.garbage_collection", "_BATCH_BLOBS"),
    ("mistral_offload.storage.s3", "_BATCH_KEYS"),
    ("mistral_offload.storage._s3_pages", "_PAGE_BLOBS"),
]
IN_SMALL_BATCHES = f"""
import importlib
for module, name in {SMALL_BATCHES}:
    assert hasattr(importlib.import_module(module), name)
    setattr(importlib.import_module(module), name, {BATCH})
from mistral_offload.cli import main
main()
"""

NOW = ("--retention-days", "0", "--allow-shorter-retention", "--min-age-days", "0")


@dataclass
class Place:
    """A bucket, and files of variables that configure a command for it and for a namespace."""

    seaweed: Seaweed
    bucket: str
    directory: Path
    temporal_address: str

    def config(
        self, world: World | None = None, *, temporal: str | None = None, **changes: str
    ) -> str:
        storage = {
            "bucket_name": self.bucket,
            "region_name": self.seaweed.region_name,
            "endpoint_url": self.seaweed.endpoint_url,
            "aws_access_key_id": self.seaweed.access_key,
            "aws_secret_access_key": self.seaweed.secret_key,
            "retry_seconds": "1",
        } | changes
        lines = [
            f"{group}__STORAGE_CONFIG__{name.upper()}={value}"
            for group in ("TEMPORAL_PAYLOAD_OFFLOADING", "ACTIVITY_ATTRIBUTES_OFFLOADING")
            for name, value in storage.items()
        ]
        lines.append(f"TEMPORAL_SERVER_URL={temporal or self.temporal_address}")
        lines.append(f"TEMPORAL_NAMESPACE={world.client.namespace if world else 'nobody'}")
        lines.append("TEMPORAL_TLS=false")
        path = self.directory / f"{len(list(self.directory.iterdir()))}.env"
        path.write_text("\n".join(lines))
        return str(path)


@pytest.fixture
def place(seaweed: Seaweed, tmp_path: Path, local_platform: LocalPlatform) -> Place:
    return Place(seaweed, seaweed.make_bucket(), tmp_path, local_platform.temporal_address)


@pytest.fixture
def bucket(place: Place) -> Iterator[BlobStore]:
    with S3Store(s3_config(place.seaweed, place.bucket)) as store:
        yield store


@pytest.fixture
async def world(local_platform: LocalPlatform, bucket: BlobStore) -> AsyncIterator[World]:
    async with make_world(local_platform, bucket) as made:
        yield made


async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a thread, since the worker of the world runs in this one."""
    return await asyncio.to_thread(call_command, "blobs", *arguments)


async def document(*arguments: str, code: int = 0) -> Any:
    ended = await run(*arguments, "--json")
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout)


def left(bucket: BlobStore) -> set[str]:
    return {blob.key for blob in bucket.list()}


# gc


@pytest.mark.timeout(180)  # stores and removes hundreds of blobs one by one
async def test_many_blobs_of_many_executions(
    place: Place,
    world: World,
    bucket: BlobStore,
    seaweed_proxy: CountingProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exactly the garbage is deleted, also if the command is killed half-way."""
    for module, name in SMALL_BATCHES:
        monkeypatch.setattr(f"{module}.{name}", BATCH)
    gone, kept = await build(world)
    assert len(gone | kept) == len(world.keys) > 5 * BATCH
    config = place.config(world)

    dry = await document("gc", "--config", config, *NOW)
    assert (dry["dry_run"], dry["deleted"]["blobs"], left(bucket)) == (True, 0, gone | kept)
    assert dry["garbage"] == {"blobs": len(gone), "bytes": 4 * len(gone)}

    slow = place.config(world, endpoint_url=seaweed_proxy.url)
    seaweed_proxy.delay_seconds = 0.3
    command = [sys.executable, "-c", IN_SMALL_BATCHES]
    command += ["blobs", "gc", "--delete", "--config", slow, *NOW]
    assert await asyncio.to_thread(killed_after_a_batch, command, seaweed_proxy) == -SIGKILL
    half = left(bucket)
    assert kept < half < gone | kept

    report = await document("gc", "--delete", "--config", config, *NOW)
    assert left(bucket) == kept
    assert report["deleted"]["blobs"] == len(half - kept)
    assert report["failures"] == {}
    assert {name: found["blobs"] for name, found in report["kept"].items()} == {
        name: found["blobs"] for name, found in dry["kept"].items()
    }
    assert report["kept"]["other_namespace"]["blobs"] == 60
    assert report["kept"]["may_be_needed"]["blobs"] == 6

    ended = await run("gc", "--delete", "--config", config, *NOW)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "deleted  " in ended.stdout
    assert left(bucket) == kept


def killed_after_a_batch(command: list[str], proxy: CountingProxy) -> int:
    with child(command) as process:
        wait_until(lambda: proxy.counts()["POST"] or process.poll() is not None)
        kill(process)
    return int(process.returncode)


async def build(world: World) -> tuple[set[str], set[str]]:
    """Create executions and other objects; return the keys to delete, and those to keep."""
    forgotten = await world.put(
        key
        for n in range(5)
        for key in world.payloads(f"forgotten-{n}", 6) | world.fields(f"forgotten-run-{n}", 4)
    )
    await asyncio.sleep(1.1)  # the bucket's times are whole seconds

    async def closed(id: str) -> set[str]:
        return world.payloads(id, 6) | world.fields(await world.close(id), 4)

    async def running(id: str) -> set[str]:
        return world.payloads(id, 6) | world.fields(run_id_of(await world.start(id)), 4)

    async def reused(id: str, *, runs: bool) -> set[str]:
        keys = world.payloads(id, 6) | world.fields(await world.close(id), 2)
        if runs:
            return keys | world.fields(run_id_of(await world.start(id)), 2)
        return keys | world.fields(await world.close(id), 2)

    async def chain(id: str, *, ends: bool) -> set[str]:
        run_ids = await world.chain(id, 1, ends=ends)
        fields = set[str]().union(*(world.fields(run_id, 2) for run_id in run_ids))
        return world.payloads(id, 6) | fields

    async def tree(id: str, *, child_ends: bool, ends: bool) -> set[str]:
        await world.tree(id, f"{id}-child", child_ends=child_ends, ends=ends)
        keys = world.payloads(id, 6) | world.payloads(f"{id}-child", 6)
        async for found in world.client.list_workflows(f"RootWorkflowId = '{id}'"):
            keys |= world.fields(found.run_id, 4)
        return keys

    async def of_schedule(id: str) -> set[str]:
        await world.start(f"{id}-2026-01-02T03:04:05Z")
        return world.payloads(id, 6)

    may_go = [
        *(closed(f"closed-{n}") for n in range(20)),
        *(reused(f"reused-closed-{n}", runs=False) for n in range(2)),
        *(chain(f"chain-closed-{n}", ends=True) for n in range(2)),
        *(tree(f"tree-closed-{n}", child_ends=True, ends=True) for n in range(2)),
    ]
    must_stay = [
        *(running(f"running-{n}") for n in range(20)),
        *(reused(f"reused-running-{n}", runs=True) for n in range(2)),
        *(chain(f"chain-running-{n}", ends=False) for n in range(2)),
        *(tree(f"parent-running-{n}", child_ends=True, ends=False) for n in range(2)),
        *(tree(f"child-running-{n}", child_ends=False, ends=True) for n in range(2)),
        *(of_schedule(f"schedule-{n}") for n in range(2)),
    ]
    both = await within(asyncio.gather(*may_go, *must_stay))
    gone = await world.put(set[str]().union(*both[: len(may_go)]))
    kept = await world.put(set[str]().union(*both[len(may_go) :]))
    kept |= await world.put(world.payloads("forgotten-while-others-ran", 6))
    kept |= await world.put(
        key
        for n in range(10)
        for key in world.payloads(f"closed-{n}", 4, "other") | world.fields(f"run-{n}", 2, "other")
    )
    namespace = world.client.namespace
    kept |= await world.put(
        [
            "notes.txt",
            "temporal-payload/readme.txt",
            f"temporal-payload/{namespace}/closed-1/notes.txt",
            f"temporal-payload/{namespace}/closed-1/sha256:short",
            f"backup/{next(iter(world.payloads('closed-1')))}",
            "temporal-activity-payload/worker-start-check",
        ]
    )
    return gone | forgotten, kept


async def test_by_default_nothing_young_goes(place: Place, world: World, bucket: BlobStore) -> None:
    await world.close("a")
    kept = await world.put(world.payloads("a") | world.payloads("unknown"))
    config = place.config(world)
    report = await document("gc", "--delete", "--config", config)
    assert (report["retention_days"], report["min_age_days"]) == (1, 1)
    assert report["kept"]["recent"]["blobs"] == report["kept"]["young"]["blobs"] == 1
    ended = await run("gc", "--delete", "--config", config, "--retention-days", "0.5")
    assert ended.returncode == 2
    assert "--allow-shorter-retention" in ended.stderr
    assert left(bucket) == kept


async def test_no_right_to_delete(place: Place, world: World, bucket: BlobStore) -> None:
    await world.close("a")
    kept = await world.put(world.payloads("a", 3))
    reader = place.config(
        world,
        aws_access_key_id=place.seaweed.listing_access_key,
    )
    ended = await run("gc", "--delete", "--config", reader, *NOW)
    assert ended.returncode == 1
    assert "could not be deleted" in ended.stdout
    assert "s3:DeleteObject" in ended.stdout
    report = await document("gc", "--delete", "--config", reader, *NOW, code=1)
    assert (set(report["failures"]), report["complete"]) == (kept, False)
    assert left(bucket) == kept


async def test_temporal_does_not_answer(place: Place, world: World, bucket: BlobStore) -> None:
    kept = await world.put(world.payloads("a"))
    (port,) = free_ports(1)
    config = place.config(world, temporal=f"127.0.0.1:{port}")
    ended = await asyncio.to_thread(
        run_command, "blobs", "gc", "--delete", "--config", config, *NOW, "--json"
    )
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["type"] == "APIConnectionError"
    assert "no connection to Temporal" in ended.stderr
    assert left(bucket) == kept


async def test_a_namespace_that_is_not_there(place: Place, bucket: BlobStore) -> None:
    bucket.put("temporal-payload/nobody/a/sha256:" + "0" * 64, b"")
    failed = await document("gc", "--delete", "--config", place.config(), *NOW, code=1)
    assert failed["error"]["type"] == "APIConnectionError"
    assert len(left(bucket)) == 1


@pytest.mark.parametrize("command", ["ls", "du"])
async def test_no_bucket(place: Place, command: str) -> None:
    failed = await document(command, "--config", place.config(bucket_name="gone"), code=1)
    assert failed["error"]["type"] == "ContainerNotFoundError"


async def test_no_storage_is_configured(tmp_path: Path) -> None:
    (tmp_path / "empty.env").write_text("")
    ended = await run("ls", "--config", str(tmp_path / "empty.env"))
    assert ended.returncode == 2
    assert "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG" in ended.stderr


# ls and du


async def test_ls(place: Place, world: World) -> None:
    keys = await world.put(
        world.payloads("a", 2) | world.fields("run-1") | world.payloads("a", 1, "other")
    )
    await world.put(["notes.txt"])
    config = place.config(world)
    listed = await document("ls", "--config", config)
    assert {entry["key"] for entry in listed} == keys
    assert {entry["size"] for entry in listed} == {4}
    assert sum(entry.get("execution") == "a" for entry in listed) == 3
    assert sum(entry.get("run") == "run-1" for entry in listed) == 1

    async def count(*arguments: str) -> int:
        return len(await document("ls", "--config", config, *arguments))

    assert await count("--execution", "a") == 3
    assert await count("--execution", "a", "--namespace", "other") == 1
    assert await count("--older-than", "0.5") == 0
    ended = await run("ls", "--config", config, "--execution", "run-1")
    (line,) = ended.stdout.splitlines()
    assert line.split()[0] == "4"
    assert line.endswith(f"run run-1  {next(iter(world.fields('run-1')))}")


async def test_ls_without_blobs(place: Place, world: World) -> None:
    await world.put(["notes.txt"])
    config = place.config(world)
    ended = await run("ls", "--config", config)
    assert (ended.returncode, ended.stdout, ended.stderr.strip()) == (0, "", "no blobs found")
    assert await document("ls", "--config", config) == []


async def test_du(place: Place, world: World) -> None:
    await world.put(world.payloads("a", 3) | world.fields("r") | world.payloads("b", 1, "other"))
    config = place.config(world)
    sums = await document("du", "--config", config, "--executions", "--top", "1")
    assert (sums["total"]["blobs"], sums["total"]["bytes"]) == (5, 20)
    assert sums["namespaces"]["other"]["blobs"] == 1
    (largest,) = sums["executions"]
    assert (largest["execution"], largest["blobs"], largest["bytes"]) == ("a", 3, 12)
    ended = await run("du", "--config", config, "--executions")
    assert ended.returncode == 0
    assert "execution a" in ended.stdout
    assert "largest 3 of 3" in ended.stdout


async def test_du_does_not_make_ids_look_alike(
    place: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first half of an id that the platform makes is the same for all runs of a workflow."""
    monkeypatch.setenv("COLUMNS", "80")
    ids = ["ab" * 16 + digit * 32 for digit in "12"]
    await world.put(world.payloads(ids[0], 1) | world.payloads(ids[1], 1))
    ended = await run("du", "--config", place.config(world), "--executions")
    lines = ended.stdout.splitlines()
    assert sum(any(f"execution {each} " in line for line in lines) for each in ids) == 2


# rm


async def test_rm_of_a_closed_execution(place: Place, world: World, bucket: BlobStore) -> None:
    first, second = await world.close("it's"), await world.close("it's")
    gone = world.payloads("it's", 2) | world.fields(first) | world.fields(second)
    beside = await world.put(world.payloads("it") | world.fields("other-run"))
    await world.put(gone)
    config = place.config(world)
    ended = await run("rm", "--execution", "it's", "--config", config)
    assert (ended.returncode, left(bucket)) == (2, beside | gone)
    assert "--yes" in ended.stderr
    assert "4 blobs" in ended.stderr
    done = await document("rm", "--execution", "it's", "--yes", "--config", config)
    assert set(done["deleted"]) == gone
    assert set(done["runs"]) == {first, second}
    assert left(bucket) == beside
    ended = await run("rm", "--execution", "it's", "--config", config)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "deleted 0 of 0" in ended.stdout
    assert "caches" in ended.stdout


async def test_blobs_of_no_execution(place: Place, world: World, bucket: BlobStore) -> None:
    await world.close("a")
    mine, other = sorted(await world.put(world.unowned(2)))
    await world.put(world.payloads("a"))
    config = place.config(world)
    assert {entry["execution"] for entry in await document("ls", "--config", config)} == {None, "a"}
    ended = await run("ls", "--config", config)
    assert sum("no execution  temporal-payload" in line for line in ended.stdout.splitlines()) == 2
    sums = await document("du", "--config", config, "--executions")
    assert {(each["execution"], each["blobs"]) for each in sums["executions"]} == {
        (None, 2),
        ("a", 1),
    }
    assert (await document("gc", "--config", config, *NOW))["kept"]["unowned"]["blobs"] == 2
    ended = await run("gc", "--config", config, *NOW)
    assert "kept: of no execution" in ended.stdout

    refused = await run("rm", "--execution", "a", "--key", *world.payloads("a"), "--config", config)
    assert (refused.returncode, left(bucket)) == (2, world.keys)
    assert "@unowned" in refused.stderr
    remove = ("rm", "--execution", "a", "--key", mine, "--yes", "--config", config)
    done = await document(*remove)
    assert (set(done["deleted"]), done["unowned"]) == ({mine} | world.payloads("a"), 1)
    assert left(bucket) == {other}
    assert "1 blobs of the namespace belong to no execution" in (await run(*remove)).stdout


async def test_rm_asks(place: Place, world: World, bucket: BlobStore) -> None:
    await world.close("a")
    keys = await world.put(world.payloads("a"))
    command = command_line("blobs", "rm", "--execution", "a", "--config", place.config(world))
    assert await asyncio.to_thread(answered, command, b"n\n") == 1
    assert left(bucket) == keys
    assert await asyncio.to_thread(answered, command, b"y\n") == 0
    assert left(bucket) == set()


def answered(command: list[str], answer: bytes) -> int:
    """Return the exit code of a command, with an answer typed on its terminal."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        ended = subprocess.run(command, stdin=theirs, capture_output=True, timeout=PATIENCE_SECONDS)
        assert b"Delete them?" in ended.stderr
        return ended.returncode
    finally:
        os.close(ours)
        os.close(theirs)


async def test_rm_refuses_while_it_or_its_tree_runs(
    place: Place, world: World, bucket: BlobStore
) -> None:
    await world.tree("parent", "child", child_ends=True, ends=False)
    keys = await world.put(world.payloads("parent") | world.payloads("child"))
    config = place.config(world)
    for execution in ("parent", "child"):
        ended = await run("rm", "--execution", execution, "--yes", "--config", config)
        assert (ended.returncode, left(bucket)) == (2, keys)
        assert "running: parent" in ended.stderr
    await document("rm", "--execution", "child", "--yes", "--while-running", "--config", config)
    assert left(bucket) == world.payloads("parent")


async def test_rm_of_what_temporal_has_forgotten(
    place: Place, world: World, bucket: BlobStore
) -> None:
    fields = await world.put(world.fields("run-1"))
    await world.put(world.payloads("a"))
    config = place.config(world)
    ended = await run("rm", "--execution", "a", "--yes", "--config", config)
    assert (ended.returncode, left(bucket)) == (0, fields)
    assert "--run-id" in ended.stdout
    done = await document(
        "rm", "--execution", "a", "--run-id", "run-1", "--yes", "--config", config
    )
    assert (done["known_to_temporal"], set(done["deleted"])) == (False, fields)
    assert left(bucket) == set()


async def test_rm_with_a_run_of_another_execution(
    place: Place, world: World, bucket: BlobStore
) -> None:
    run_id = run_id_of(await world.start("other"))
    kept = await world.put(world.payloads("a") | world.fields(run_id))
    config = place.config(world)
    ended = await run("rm", "--execution", "a", "--run-id", run_id, "--yes", "--config", config)
    assert (ended.returncode, left(bucket)) == (2, kept)
    assert "of execution 'other'" in ended.stderr


async def test_rm_without_the_right(place: Place, world: World, bucket: BlobStore) -> None:
    keys = await world.put(world.payloads("a"))
    reader = place.config(
        world,
        aws_access_key_id=place.seaweed.listing_access_key,
    )
    failed = await document("rm", "--execution", "a", "--yes", "--config", reader, code=1)
    assert (set(failed["failures"]), failed["deleted"], left(bucket)) == (keys, [], keys)
