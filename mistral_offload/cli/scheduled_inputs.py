"""Inputs of schedules, cron executions and delayed starts that proposed rules would remove."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from rich.console import Console

from mistral_offload.cli.event_loop import run_async
from mistral_offload.errors import MistralOffloadError
from mistral_offload.lifecycle.rules import ExpiryRule, rule_for

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings
    from mistral_offload.inspection.standing_inputs import InputExpiry
    from mistral_offload.lifecycle.proposal import Proposal

_MOST = 1000
_LONGEST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ScheduledInputs:
    """Inputs that proposed rules would remove, or the reason why this is unknown."""

    expiries: tuple[InputExpiry, ...] = ()
    note: str | None = None


def check_scheduled_inputs(
    settings: WorkerSettings, proposals: Sequence[Proposal]
) -> ScheduledInputs:
    """Compare the inputs that Temporal refers to with proposed rules; never fails."""
    located = settings.temporal_server_url and settings.temporal_namespace
    if not (located or settings.mistral_api_key or settings.mistral_sa_token_path):
        return ScheduledInputs(
            note="TEMPORAL_SERVER_URL and TEMPORAL_NAMESPACE, or MISTRAL_API_KEY, are not set"
        )
    try:
        found = run_async(_read(settings))
    except asyncio.TimeoutError:
        return ScheduledInputs(note=f"it took longer than {_LONGEST_SECONDS:g} s")
    except MistralOffloadError as error:
        return ScheduledInputs(note=str(error))
    planned = (replace(each, rule=_planned_rule(each, proposals)) for each in found)
    return ScheduledInputs(tuple(planned))


def scheduled_inputs_document(found: ScheduledInputs) -> dict[str, Any]:
    """Return the inputs as JSON members."""
    now = datetime.now(timezone.utc)
    return {
        "note": found.note,
        "warnings": [
            {
                "kind": each.source.kind.value,
                "id": each.source.id,
                "key": each.blob.key.text,
                "missing": each.is_missing,
                "days_left": each.days_left(now),
                "text": text,
            }
            for each in found.expiries
            if (text := each.describe(now)) is not None
        ],
    }


def print_scheduled_inputs(console: Console, found: ScheduledInputs) -> None:
    """Print the inputs for people, with the remedy."""
    from mistral_offload.inspection.standing_inputs import RENEWAL_COMMAND

    if found.note is not None:
        console.print(f"Inputs of schedules were not checked: {found.note}", markup=False)
        return
    warnings = scheduled_inputs_document(found)["warnings"]
    for warning in warnings:
        console.print("warning:", style="yellow", end=" ")
        console.print(warning["text"], markup=False)
    if warnings:
        console.print(f"  To renew such inputs, run regularly: {RENEWAL_COMMAND}", markup=False)


async def _read(settings: WorkerSettings) -> list[InputExpiry]:
    from mistral_offload.environment.temporal_client import open_temporal_client
    from mistral_offload.inspection.inspector import Inspector
    from mistral_offload.inspection.standing_inputs import ReferenceReader

    async def read() -> list[InputExpiry]:
        async with open_temporal_client(settings) as client:
            reader = ReferenceReader(client, Inspector(settings), most=_MOST)
            return await reader.expiries(await reader.read())

    return await asyncio.wait_for(read(), _LONGEST_SECONDS)


def _planned_rule(each: InputExpiry, proposals: Sequence[Proposal]) -> ExpiryRule | None:
    """Return the rule that removes a blob once the proposals are applied."""
    if each.blob.found is None:
        return None
    place = each.blob.found.location
    for proposal in proposals:
        config = proposal.location.config
        bucket = (config.storage_provider, config.container, config.endpoint_url)
        if bucket == (place.config.storage_provider, place.config.container,
                      place.config.endpoint_url):  # fmt: skip
            return rule_for(place.key, proposal.rules)
    return each.rule
