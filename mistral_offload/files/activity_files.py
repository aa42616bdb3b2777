"""The place where the activity that runs now stores its files."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from mistral_offload.errors import FileError
from mistral_offload.files.file_store import FileStore


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A store and the beginning of the keys there, owner included."""

    store: FileStore
    root: str


_place: ContextVar[FilePlace | None] = ContextVar("mistral_offload_file_place", default=None)


@contextmanager
def storing_files(place: FilePlace) -> Generator[None]:
    """Set the place for the code inside."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def current_place() -> FilePlace:
    """Return the place.

    Raises:
        FileError: no activity runs here, or no storage for activity fields is configured.
    """
    place = _place.get()
    if place is None:
        raise FileError(
            "OffloadableFile.writer stores a file from within an activity of a worker with storage "
            "for activity fields (ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__…): elsewhere, "
            "use OffloadableFile.from_path"
        )
    return place
