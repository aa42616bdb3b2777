"""Objects that begin anew in a forked child.

A child has copies of the parent's sockets, on which it would read the parent's responses, and of
locks that other threads held at the time of the fork and that no thread of the child releases.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

from mistral_offload.errors import ConfigurationError


class ForkAware(Protocol):
    """An object with locks or connections."""

    def begin_anew(self) -> None:
        """Replace locks and connections in a forked child; no other thread runs there yet.

        Inherited connections are neither used nor closed: they are the parent's.
        """


_members: WeakSet[ForkAware] = WeakSet()


def register(member: ForkAware) -> None:
    """Call ``begin_anew`` of an object in every forked child, as long as the object exists."""
    _members.add(member)


class ProcessBound:
    """Something that the first process to use it keeps for itself.

    Args:
        description: begins the error's text, as in "the httpx client given as client=".
        remedy: ends it.
    """

    def __init__(self, description: str, remedy: str) -> None:
        self._description = description
        self._remedy = remedy
        self._process: int | None = None

    def claim(self) -> None:
        """Note the use by this process.

        Raises:
            ConfigurationError: another process, from which this one was forked, has used it.
        """
        process = os.getpid()
        if self._process is None:
            self._process = process
        elif self._process != process:
            raise ConfigurationError(
                f"{self._description} belongs to process {self._process}, and this is process "
                f"{process}, forked from it, which would read the other one's responses: "
                f"{self._remedy}"
            )


def _begin_anew() -> None:
    for member in list(_members):
        member.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
