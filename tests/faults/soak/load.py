"""The client process of the soak: starts workflows, waits, and compares the results.

``python -m tests.faults.soak.load SETTINGS`` takes the settings as JSON and prints the outcome as
JSON.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from mistral_offload import Mistral
from mistral_offload.errors import MistralOffloadError, WorkflowFailedError
from tests.faults.stack import Stack, make_text, turned

T = TypeVar("T")

WORKFLOWS = {"copy-payload": 1, "copy-field": 1}
SMALLEST, USUAL, LARGEST = 10_000, 200_000, 20_000_000
_EXTREMES = {10: SMALLEST, 11: SMALLEST, 20: LARGEST, 21: LARGEST}
_LARGE_SHARE = 0.01
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True)
class Settings:
    """Parameters of the load.

    Attributes:
        server_url: the platform's URL for the client.
        api_key: the platform's.
        storage: the storage block of the client.
        deployment: deployment that runs the workflows.
        seed: repeats the same workflows.
        seconds: how long new workflows are started.
        patience: how many seconds the last ones may run after that.
        at_once: number of concurrent workflows.
    """

    server_url: str
    api_key: str
    storage: dict[str, str]
    deployment: str
    seed: int
    seconds: float
    patience: float
    at_once: int


@dataclass
class Happened:
    """Outcome of the load.

    Attributes:
        executions: ids of executions with the right result.
        wrong: executions with a wrong result, or failed, and the reason.
        stuck: executions that had not ended in time.
        errors: errors that the client got and retried after.
        sizes: sizes of the inputs, in bytes.
        slowest: seconds of the slowest execution.
    """

    executions: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    slowest: float = 0.0


class Load:
    """Several tasks, each of which runs one workflow after the other."""

    def __init__(self, client: Mistral, settings: Settings) -> None:
        self.happened = Happened()
        self._client = client
        self._settings = settings
        self._numbers = iter(range(1_000_000))
        self._until = time.monotonic() + settings.seconds

    async def run(self) -> None:
        await asyncio.gather(*(self._run_some() for _ in range(self._settings.at_once)))

    async def _run_some(self) -> None:
        while time.monotonic() < self._until:
            await self._run_one(next(self._numbers))

    async def _run_one(self, number: int) -> None:
        settings = self._settings
        workflow, size = _choose(settings.seed, number)
        text = make_text(number, size)
        began = time.monotonic()
        execution_id = f"soak-{settings.seed}-{number}"
        left = self._until + settings.patience - began
        try:
            result = await asyncio.wait_for(self._outcome(workflow, execution_id, text), left)
        except asyncio.TimeoutError:
            self.happened.stuck.append(execution_id)
            return
        except WorkflowFailedError as error:
            self.happened.wrong.append(str(error))
            return
        self.happened.slowest = max(self.happened.slowest, time.monotonic() - began)
        self.happened.sizes.append(size)
        if result == {"result": turned(text, WORKFLOWS[workflow])}:
            self.happened.executions.append(execution_id)
        else:
            self.happened.wrong.append(f"{execution_id} gave another result")

    async def _outcome(self, workflow: str, execution_id: str, text: str) -> Any:
        workflows = self._client.workflows

        async def start() -> None:
            await workflows.execute_workflow_async(
                workflow,
                input={"text": text},
                execution_id=execution_id,
                deployment_name=self._settings.deployment,
            )

        async def wait() -> Any:
            return await workflows.wait_for_workflow_completion_async(execution_id)

        await self._insist(start)
        return (await self._insist(wait)).result

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T | Any:
        """Count errors and retry, as a program does that must succeed."""
        while True:
            try:
                return await call()
            except WorkflowFailedError:
                raise
            except MistralOffloadError as error:
                name = type(error).__name__
                self.happened.errors[name] = self.happened.errors.get(name, 0) + 1
                if name == "ConflictError":  # an attempt whose response was lost had started it
                    return None
                await asyncio.sleep(_PAUSE_SECONDS)


def _choose(seed: int, number: int) -> tuple[str, int]:
    """Choose workflow and size: mostly small ones, but always the extremes."""
    names = list(WORKFLOWS)
    if number in _EXTREMES:
        return names[number % 2], _EXTREMES[number]
    chance = random.Random(f"{seed}-{number}")
    bounds = (USUAL, LARGEST) if chance.random() < _LARGE_SHARE else (SMALLEST, USUAL)
    size = math.exp(chance.uniform(*map(math.log, bounds)))
    return chance.choice(names), int(size)


class _There:
    """The platform, with only the attributes a client needs."""

    def __init__(self, server_url: str, api_key: str) -> None:
        self.server_url = server_url
        self.api_key = api_key


async def main(settings: Settings) -> None:
    stack = Stack(_There(settings.server_url, settings.api_key), settings.storage)
    async with stack.client(timeout_ms=4_000) as client:
        load = Load(client, settings)
        await load.run()
    print(json.dumps(asdict(load.happened)), flush=True)
    sys.stdin.read()  # until it has been checked


if __name__ == "__main__":
    asyncio.run(main(Settings(**json.loads(sys.argv[1]))))
