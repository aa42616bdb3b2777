"""Pagination rules of the list operations: from one page to the query of the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Paging:
    """Pagination rule of one list operation.

    Attributes:
        items: name of the page's member that holds its entries.
        token: name of the page's member that identifies the next page.
        parameter: name of the query parameter that takes this token.
        size: name of the query parameter for the number of entries per page.
    """

    items: str
    token: str
    parameter: str
    size: str

    def entries(self, page: object) -> list[Any]:
        """Return the entries of a page."""
        return list(getattr(page, self.items))

    def query_after(self, page: object, query: Mapping[str, object]) -> dict[str, object] | None:
        """Return the query for the next page, or None when this page is the last.

        A page is the last when it has no token, and also when it is not full: the platform may
        send a token with the last page.
        """
        token: str | None = getattr(page, self.token)
        count, size = len(self.entries(page)), query.get(self.size)
        if not token or not token.strip() or not count:
            return None
        if isinstance(size, int) and count < size:
            return None
        return {**query, self.parameter: token}


def _by_cursor(items: str) -> Paging:
    return Paging(items, "next_cursor", "cursor", "limit")


def _by_token(items: str) -> Paging:
    return Paging(items, "next_page_token", "next_page_token", "page_size")


WORKFLOWS: Final = _by_cursor("workflows")
REGISTRATIONS: Final = _by_cursor("workflow_registrations")
EVENTS: Final = _by_cursor("events")
LOGS: Final = _by_cursor("results")
DEPLOYMENTS: Final = _by_cursor("deployments")
WORKERS: Final = _by_cursor("workers")
RUNS: Final = _by_token("executions")
SCHEDULES: Final = _by_token("schedules")
