"""Writes a file piece by piece from within an activity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

from mistral_offload.errors import FileError
from mistral_offload.files.activity_files import FilePlace, current_place
from mistral_offload.files.file_store import FileStore, Uploaded
from mistral_offload.files.progress import OnProgress
from mistral_offload.files.upload import FileUpload

F = TypeVar("F")


class FileWriter(Generic[F]):
    """A file that is being written by blocking code."""

    def __init__(self, upload: FileUpload, name: str) -> None:
        self._upload = upload
        self._name = name
        self._file: F | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add content; waits while enough chunks are on their way to the store.

        Raises:
            FileTooLargeError: the file is over 512 GiB.
            StorageError: an earlier chunk could not be stored.
        """
        self._upload.write(data)

    @property
    def file(self) -> F:
        """The stored file, after the block has ended without an error.

        Raises:
            FileError: it has not.
        """
        if self._file is None:
            raise FileError(f"file {self._name!r} is stored when the writer's block has ended")
        return self._file

    def finish(self, store: FileStore, make: Callable[[Uploaded, FileStore], F]) -> None:
        """End the upload; called at the end of the block."""
        self._file = make(Uploaded(self._upload.finish(), self._upload.file), store)


class AsyncFileWriter(Generic[F]):
    """A file that is being written by async code."""

    def __init__(self, writer: FileWriter[F], place: FilePlace) -> None:
        self._writer = writer
        self._store = place.store

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add content; waits while enough chunks are on their way to the store.

        Raises:
            FileTooLargeError: the file is over 512 GiB.
            StorageError: an earlier chunk could not be stored.
        """
        await self._store.run_async(lambda _: self._writer.write(data))

    @property
    def file(self) -> F:
        """The stored file, after the block has ended without an error.

        Raises:
            FileError: it has not.
        """
        return self._writer.file


@dataclass
class WritingBlock(Generic[F]):
    """Context manager of a writer, in sync and in async code; see ``OffloadableFile.writer``."""

    name: str
    content_type: str | None
    on_progress: OnProgress | None
    make: Callable[[Uploaded, FileStore], F]

    def __enter__(self) -> FileWriter[F]:
        self._place = current_place()
        self._upload = self._place.store.begin_upload(
            self._place.root,
            name=self.name,
            content_type=self.content_type,
            on_progress=self.on_progress,
        )
        self._writer: FileWriter[F] = FileWriter(self._upload, self.name)
        return self._writer

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._writer.finish(self._place.store, self.make)
        else:
            self._upload.abandon()

    async def __aenter__(self) -> AsyncFileWriter[F]:
        place = current_place()
        writer = await place.store.run_async(lambda _: self.__enter__())
        return AsyncFileWriter(writer, place)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end = partial(self.__exit__, kind, error, traceback)
        await self._place.store.run_async(lambda _: end())
