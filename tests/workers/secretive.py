"""A worker with only secret values, which logs as much as it can."""

import asyncio
import logging
from datetime import timedelta

import temporalio.activity
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

import mistral_offload.workflows as workflows

LARGE = 3_000_000


@workflows.activity(start_to_close_timeout=timedelta(seconds=20))
async def enlarge(text: str) -> str:
    return text * (LARGE // len(text))


@workflows.activity(
    start_to_close_timeout=timedelta(seconds=2),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=3),
)
async def struggle(text: str) -> str:
    info = temporalio.activity.info()
    if info.attempt == 1:
        temporalio.activity.heartbeat({"at": text})
        await asyncio.sleep(600)  # timed out, with the heartbeat in the failure
    assert list(info.heartbeat_details) == [{"at": text}]
    if info.attempt == 2:
        raise ApplicationError(f"said {text[::-1]}", {"detail": text})
    return text


@workflows.activity(retry_policy=RetryPolicy(maximum_attempts=1))
async def fail(text: str) -> str:
    raise ApplicationError(f"said {text[::-1]}", {"detail": text})


@workflows.activity(retry_policy=RetryPolicy(maximum_attempts=1))
async def count(number: int) -> int:
    return number


@workflows.workflow.define(name="secretive", execution_timeout=timedelta(minutes=5))
class Secretive:
    @workflows.workflow.entrypoint
    async def run(self, text: str, fails: bool) -> str:
        if fails:
            raise ApplicationError(f"said {text[::-1]}", {"detail": text})
        large = await enlarge(text)
        assert await struggle(text) == text
        try:
            await fail(text)
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            assert list(cause.details) == [{"detail": text}]
            assert cause.message == f"said {text[::-1]}"
        try:
            await count(text)  # type: ignore[arg-type]
        except ActivityError as error:
            return large if "number" in str(error.cause) else ""
        return ""


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    # At DEBUG, temporalio itself logs the heartbeats of activities.
    logging.getLogger("temporalio").setLevel(logging.INFO)
    asyncio.run(workflows.run_worker([Secretive]))
