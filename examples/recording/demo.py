"""Runs everything in one command: the local platform, unless SERVER_URL names one; worker; client.

Without a bucket in the environment, the store is a temporary directory.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from client import VARIABLE, arguments, main, storage

from mistral_offload import Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform

WORKER = Path(__file__).with_name("worker.py")
START_SECONDS = 60


@contextmanager
def running_worker(client: Mistral) -> Iterator[str]:
    """Run the worker in a process, and yield the name of its deployment when it is ready."""
    deployment = f"recording-{uuid4().hex[:8]}"
    variables = {"LOG_LEVEL": "WARNING", **os.environ, "DEPLOYMENT_NAME": deployment}
    with subprocess.Popen([sys.executable, WORKER], env=variables) as worker:
        try:
            give_up = time.monotonic() + START_SECONDS
            while not client.workflows.get_workflows(deployment_name=[deployment]).workflows:
                if worker.poll() is not None or time.monotonic() > give_up:
                    raise SystemExit("the worker does not start")
                time.sleep(0.1)
            yield deployment
        finally:
            worker.terminate()


if __name__ == "__main__":
    megabytes = arguments().megabytes
    with ExitStack() as opened:
        if "SERVER_URL" not in os.environ:
            platform = opened.enter_context(LocalPlatform())
            os.environ.update(platform.environment())
        if not any(name.startswith(VARIABLE) for name in os.environ):
            folder = opened.enter_context(tempfile.TemporaryDirectory())
            os.environ |= {f"{VARIABLE}STORAGE_PROVIDER": "local", f"{VARIABLE}PATH": folder}
            os.environ["CHECK_STORAGE_ON_START"] = "false"  # it is empty
        client = opened.enter_context(
            Mistral(
                os.environ["MISTRAL_API_KEY"],
                server_url=os.environ["SERVER_URL"],
                workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage()),
            )
        )
        deployment = opened.enter_context(running_worker(client))
        succeeded = main(client, megabytes, deployment)
    sys.exit(0 if succeeded else 1)
