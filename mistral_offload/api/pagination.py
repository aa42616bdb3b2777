"""Which page follows a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list is cut into pages.

    Attributes:
        items: member of a page that holds its entries.
        token: member of a page that names the next one.
        parameter: query parameter that asks for it.
        size: query parameter that says how many entries a page has.
    """

    items: str
    token: str
    parameter: str
    size: str

    def entries(self, page: object) -> list[Any]:
        """The entries of a page."""
        return list(getattr(page, self.items))

    def query_after(self, page: object, query: Mapping[str, object]) -> dict[str, object] | None:
        """The query for the page after this one; None when it is the last.

        It is the last when it names no next page, and also when it is not full: the platform may
        name a page after the end.
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
