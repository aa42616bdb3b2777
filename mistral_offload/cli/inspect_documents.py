"""JSON documents of ``mistral-offload inspect --json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mistral_offload.errors import MistralOffloadError
from mistral_offload.inspection.display import DisplayedValue, Form
from mistral_offload.inspection.events import EventPayload
from mistral_offload.inspection.executions import ExecutionReport, PayloadRow
from mistral_offload.inspection.expiry import Expiry
from mistral_offload.inspection.findings import BlobStatus, Finding
from mistral_offload.inspection.history import History


def finding_document(found: Finding, shown: DisplayedValue | None, now: datetime) -> dict[str, Any]:
    """Return the JSON members of one value; ``value`` is among them if it is shown whole."""
    blob = {} if found.status is None else _status(found.status, now)
    document: dict[str, Any] = {
        "inline": found.status is None,
        **blob,
        "stored_size": None if found.stored is None else len(found.stored),
        "decoded_size": None if found.data is None else len(found.data),
        "transforms": [
            {"name": each.name, "detail": each.detail or None, "size": each.size}
            for each in found.transforms
        ],
        "verified": found.is_verified,
        "fields": [_status(each, now) for each in found.fields],
        "errors": _errors(found.errors),
    }
    if shown is not None:
        whole = shown.form is Form.JSON and not shown.is_truncated and _is_strict(shown.value)
        document["form"] = shown.form.value
        document["cut"] = shown.is_truncated
        document["value" if whole else "text"] = shown.value if whole else shown.text
    return document


def event_document(
    history: History,
    findings: Iterable[tuple[EventPayload, Finding, DisplayedValue | None]],
    now: datetime,
) -> dict[str, Any]:
    """Return the JSON members of the payloads of one event."""
    return {
        **_history(history),
        "payloads": [
            {**_source(source), **finding_document(found, shown, now)}
            for source, found, shown in findings
        ],
    }


def report_document(report: ExecutionReport, now: datetime) -> dict[str, Any]:
    """Return the JSON members of an execution and all its payloads."""
    blobs = report.blobs
    return {
        **_history(report.history),
        "payloads": [_row(row, now) for row in report.rows],
        "blobs": len(blobs),
        "found": sum(each.found is not None for each in blobs),
        "errors": _errors(report.errors),
    }


def _history(history: History) -> dict[str, Any]:
    return {
        "execution": history.execution_id,
        "run": history.run_id,
        "namespace": history.namespace,
        "workflow": history.workflow,
        "status": history.status,
        "started": history.started,
        "closed": history.closed,
    }


def _source(source: EventPayload) -> dict[str, Any]:
    return {
        "event": source.event_id,
        "event_type": source.event_type,
        "at": source.at,
        "name": source.name,
        "part": source.part,
    }


def _row(row: PayloadRow, now: datetime) -> dict[str, Any]:
    return {
        **_source(row.source),
        "stored_size": row.size,
        "decoded_size": row.decoded_size,
        "transforms": row.options,
        "inline": not row.is_offloaded,
        "blobs": [_status(each, now) for each in row.blobs],
        "errors": _errors(row.errors),
    }


def _status(status: BlobStatus, now: datetime) -> dict[str, Any]:
    key, blob, expiry = status.key, status.found, status.expiry
    owner = key.owner
    document: dict[str, Any] = {
        "kind": "field" if key.is_field else "payload",
        "key": key.text,
        "namespace": owner.namespace,
        **owner.member,
        "found": blob is not None,
    }
    if key.field is not None:
        document["field"] = key.field
    modified = None
    if blob is not None:
        modified = blob.modified
        document |= {
            "provider": blob.location.config.storage_provider.value,
            "container": blob.location.config.container,
            "stored_key": blob.location.key,
            "size": blob.size,
            "modified": modified,
            "age_days": round((now - modified).total_seconds() / 86_400, 3),
        }
    if expiry is not None:
        document["expiry"] = _expiry(expiry, modified, now)
    if status.error is not None:
        document["error"] = _error(status.error)
    return document


def _expiry(expiry: Expiry, modified: datetime | None, now: datetime) -> dict[str, Any]:
    left = None if modified is None else expiry.days_left(modified, now)
    return {
        "days": expiry.days,
        "days_left": None if left is None else round(left, 3),
        "rule": None if expiry.rule is None else expiry.rule.name,
        "note": expiry.note,
    }


def _errors(errors: Iterable[MistralOffloadError]) -> list[dict[str, str]]:
    return [_error(error) for error in errors]


def _error(error: MistralOffloadError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


def _is_strict(value: Any) -> bool:
    """Return True if a value can be written as JSON that every parser accepts; NaN cannot."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True
