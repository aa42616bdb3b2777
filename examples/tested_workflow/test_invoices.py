"""Tests of the workflow, on a real Temporal server and with a store in memory."""

import pytest
from invoices import PayInvoice, book, recognize

from mistral_offload.errors import WorkflowFailedError

pytestmark = pytest.mark.usefixtures("time_skipping")  # a month takes a second

SCAN = "lorem ipsum " * 300_000  # 3.6 MB


async def test_activity_alone():
    booking = await book("7", "a text")
    assert booking.characters == 6


def test_workflow(workflow_worker):
    worker = workflow_worker(PayInvoice)
    paid = worker.execute(PayInvoice, {"number": "7", "scan": SCAN})
    assert paid.result == {"number": "7", "characters": len(SCAN)}


def test_large_values_are_offloaded(workflow_worker):
    worker = workflow_worker(PayInvoice)
    paid = worker.execute(PayInvoice, {"number": "8", "scan": SCAN})
    text = [each for each in worker.offloaded(paid) if each.part == "result"]
    assert [each.name for each in text] == ["recognize"]
    assert text[0].size > len(SCAN)

    small = worker.execute(PayInvoice, {"number": "9", "scan": "short"})
    assert worker.offloaded(small) == []


def test_a_short_outage_of_the_store_delays_and_breaks_nothing(workflow_worker, memory_store):
    memory_store.fail("put", times=2)
    memory_store.fail("get", times=2)
    worker = workflow_worker(PayInvoice)
    paid = worker.execute(PayInvoice, {"number": "10", "scan": SCAN})
    assert paid.result["characters"] == len(SCAN)


def test_a_lost_blob_fails_the_workflow(workflow_worker, memory_store, monkeypatch):
    def lose_every_blob(characters):
        for key in memory_store.sizes:
            memory_store.lose(key)

    worker = workflow_worker(PayInvoice)
    started = worker.client.workflows.execute_workflow(
        "pay-invoice",
        input={"number": "11", "scan": SCAN},
        deployment_name=worker.deployment_name,
    )
    lose_every_blob(0)
    with pytest.raises(WorkflowFailedError, match="BlobNotFoundError"):
        worker.client.workflows.wait_for_workflow_completion(started.execution_id)
