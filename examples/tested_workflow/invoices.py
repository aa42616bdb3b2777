"""A workflow that reads an invoice, waits for its due date, and books it."""

import asyncio
from datetime import timedelta

from pydantic import BaseModel

import mistral_offload.workflows as workflows


class Invoice(BaseModel):
    number: str
    scan: str
    due_in_days: int = 30


class Booking(BaseModel):
    number: str
    characters: int


@workflows.activity()
async def recognize(invoice: Invoice) -> str:
    """Return the text of a scan, which can be large."""
    return invoice.scan.upper()


@workflows.activity()
async def book(number: str, text: str) -> Booking:
    """Enter an invoice into the books."""
    return Booking(number=number, characters=len(text))


@workflows.workflow.define(name="pay-invoice", execution_timeout=timedelta(days=90))
class PayInvoice:
    @workflows.workflow.entrypoint
    async def run(self, invoice: Invoice) -> Booking:
        text = await recognize(invoice)
        await asyncio.sleep(timedelta(days=invoice.due_in_days).total_seconds())
        return await book(invoice.number, text)
