"""Runs the same official worker with its own engine and with mistral-offload's, and compares."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig

WORKER = Path(__file__).with_name("worker.py")
SETTINGS = ("bucket_name", "endpoint_url", "region_name", "aws_access_key_id")
SETTINGS += ("aws_secret_access_key", "prefix")
VARIABLE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
SIZE = 3_000_000
ROUNDS = int(os.environ.get("ROUNDS", "3"))
START_SECONDS = 60


def storage() -> BlobStorageConfig:
    """Return the worker's storage, from the same variables."""
    given = {name: os.environ.get(f"{VARIABLE}{name.upper()}") for name in SETTINGS}
    return BlobStorageConfig.model_validate({name: value for name, value in given.items() if value})


@contextmanager
def running_worker(client: Mistral, switch: str) -> Iterator[str]:
    """Run the worker, and yield the name of its deployment when it is ready."""
    deployment = f"example-{uuid4().hex[:8]}"
    variables = {"DEPLOYMENT_NAME": deployment, "MISTRAL_OFFLOAD_OFFICIAL": switch}
    with subprocess.Popen(
        [sys.executable, WORKER],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            give_up = time.monotonic() + START_SECONDS
            while not client.workflows.get_workflows(deployment_name=[deployment]).workflows:
                if worker.poll() is not None or time.monotonic() > give_up:
                    raise SystemExit("the worker does not start: run worker.py to see why")
                time.sleep(0.2)
            yield deployment
        finally:
            worker.terminate()


def run(client: Mistral, deployment: str) -> float:
    """Send a document through the workflow; return the seconds that it took."""
    line = uuid4().hex
    document = {"title": "The Shining", "text": line * (SIZE // len(line))}
    began = time.perf_counter()
    result = client.workflows.execute_workflow_and_wait(
        "check-document", input=document, deployment_name=deployment, timeout_seconds=300
    )
    assert result == document
    return time.perf_counter() - began


def main() -> None:
    """Print the best of a few rounds for each engine."""
    offloading = PayloadOffloadingConfig(storage_config=storage())
    with Mistral(
        os.environ["MISTRAL_API_KEY"],
        server_url=os.environ["SERVER_URL"],
        workflow_payload_offloading=offloading,
    ) as client:
        seconds: list[float] = []
        for name, switch in (("before", "off"), ("after", "on")):
            with running_worker(client, switch) as deployment:
                run(client, deployment)  # imports and connects
                seconds.append(min(run(client, deployment) for _ in range(ROUNDS)))
            print(f"{name:7} {seconds[-1]:6.2f} s")
        print(f"{seconds[0] / seconds[1]:.1f} times faster")


if __name__ == "__main__":
    main()
