"""Tests of the workflow, on a real Temporal server and with a store in memory."""

import asyncio

import pytest
from invoices import PayInvoice, book, recognize

from mistral_offload.errors import BlobNotFoundError, WorkflowFailedError

pytestmark = pytest.mark.usefixtures("time_skipping")  # a month takes a second

SCAN = "lorem ipsum " * 300_000  # 3.6 MB


def test_an_activity_alone():
    booking = asyncio.run(book("1", "a text"))
    assert booking.characters == 6


def test_the_workflow(workflow_worker):
    worker = workflow_worker(PayInvoice)
    paid = worker.execute(PayInvoice, {"number": "2", "scan": SCAN})
    assert paid.result == {"number": "2", "characters": len(SCAN)}

    # The scan and its text went to the store, and nothing else did.
    blobs = worker.offloaded(paid)
    assert [(blob.name, blob.part) for blob in blobs] == [
        ("pay-invoice", "input"),
        ("recognize", "input"),
        ("recognize", "result"),
        ("book", "input[1]"),
    ]
    assert all(blob.size > len(SCAN) for blob in blobs)


def test_a_small_invoice_needs_no_store(workflow_worker, memory_store):
    memory_store.fail("put")
    memory_store.fail("get")
    worker = workflow_worker(PayInvoice)
    paid = worker.execute(PayInvoice, {"number": "3", "scan": "short"})
    assert worker.offloaded(paid) == []


def test_an_activity_that_fails(workflow_worker):
    def unreadable(invoice):
        raise ValueError("the scan is upside down")

    worker = workflow_worker(PayInvoice, fakes={recognize: unreadable})
    with pytest.raises(WorkflowFailedError, match="upside down"):
        worker.execute(PayInvoice, {"number": "4", "scan": "short"})


def test_an_outage_of_the_store_breaks_nothing(workflow_worker, memory_store):
    memory_store.fail("put", times=2)
    memory_store.fail("get", times=2)
    worker = workflow_worker(PayInvoice)
    paid = worker.execute(PayInvoice, {"number": "5", "scan": SCAN})
    assert paid.result["characters"] == len(SCAN)


def test_a_lost_blob_fails_the_workflow(workflow_worker, memory_store):
    memory_store.fail("get", BlobNotFoundError)
    worker = workflow_worker(PayInvoice)
    with pytest.raises(WorkflowFailedError, match="BlobNotFoundError"):
        worker.execute(PayInvoice, {"number": "6", "scan": SCAN})
