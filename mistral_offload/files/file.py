"""``OffloadableFile``: a file of any size, as an argument, a result or a field of a model.

The wire format is that of an offloadable field, ``{"value": null, "blob_ref": <key>}``, and the key
tells what the file is. An encrypted file's key does not tell its name; its JSON has a third member,
``file``, which a reader that does not know it drops. Then the name is known once the file is open.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticSerializationUnexpectedValue, core_schema
from typing_extensions import Self

from mistral_offload._event_loops import run_in_thread_async
from mistral_offload.errors import FileError, ReferenceRefusedError
from mistral_offload.files.async_reader import AsyncFileReader
from mistral_offload.files.download import download
from mistral_offload.files.file_members import (
    members_in_place,
    members_schema,
    read_content_in_place,
)
from mistral_offload.files.file_store import FileStore, Uploaded
from mistral_offload.files.progress import OnProgress, ProgressMeter
from mistral_offload.files.reader import FileReader
from mistral_offload.files.reference import FileDescription, FileReference
from mistral_offload.files.source import (
    FileSource,
    source_of_bytes,
    source_of_file,
    source_of_path,
    source_of_stream,
)
from mistral_offload.files.stored_file import ChunkedFile, MemoryFile, StoredFile
from mistral_offload.files.workflow_code import in_workflow_code, workflow_code_error
from mistral_offload.files.writer import WritingBlock


class OffloadableFile:
    """A file of any size that travels through your bucket, in chunks, and never as a whole.

    Make one from what you have; it is stored when an activity returns it, or when a client sends
    it. Who receives it can open it like a file, read a range of it, or download it. Workflow code
    sees name, size, type and digest, and passes it on at no cost.

    Example::

        @activity()
        async def record(url: str) -> OffloadableFile:
            async with OffloadableFile.writer(name="talk.wav") as out:
                async for piece in fetch(url):
                    await out.write(piece)
            return out.file


        @activity()
        def loudness(talk: OffloadableFile) -> float:
            with talk.open() as audio:
                return measure(wave.open(audio))

    A file is immutable, and may be part of several models.
    """

    def __init__(
        self,
        *,
        source: FileSource | None = None,
        reference: FileReference | None = None,
        description: FileDescription | None = None,
        store: FileStore | None = None,
    ) -> None:
        self._source = source
        self._reference = reference
        self._description = description
        self._store = store
        self._stored: StoredFile | None = None

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        content_type: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Self:
        """Make a file of a local one, which must not change until it is stored.

        Args:
            path: path of a regular file.
            name: its name; that of the local file by default.
            content_type: its media type; guessed from the name by default.
            on_progress: called with the progress while it is stored.

        Raises:
            LocalFileError: there is no regular file.
        """
        source = source_of_path(path, name, content_type)
        return cls(source=replace(source, on_progress=on_progress))

    @classmethod
    def from_file(
        cls,
        file: BinaryIO,
        *,
        name: str | None = None,
        content_type: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Self:
        """Make a file of one that is open for reading bytes, from its position on.

        Raises:
            FileError: it is not open for reading bytes.
        """
        source = source_of_file(file, name, content_type)
        return cls(source=replace(source, on_progress=on_progress))

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str, content_type: str | None = None) -> Self:
        """Make a file of bytes in memory."""
        return cls(source=source_of_bytes(data, name, content_type))

    @classmethod
    def from_stream(
        cls,
        pieces: AsyncIterable[bytes],
        *,
        name: str,
        content_type: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Self:
        """Make a file of an async iterator of bytes, which is read once, when the file is stored.

        Only async code can store it; at most 512 GiB, since its size is not known beforehand.
        """
        source = source_of_stream(pieces, name, content_type)
        return cls(source=replace(source, on_progress=on_progress))

    @classmethod
    def writer(
        cls,
        *,
        name: str,
        content_type: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> WritingBlock[Self]:
        """Return a writer, for an activity that makes the content piece by piece.

        Use it as a context manager, sync or async. Its ``file`` is there when the block ends
        without an error; otherwise nothing refers to what was stored.
        """
        return WritingBlock(name, content_type, on_progress, cls.of_uploaded)

    @property
    def name(self) -> str | None:
        """Name of the file, without a folder; None if it is not known before it is opened."""
        known = self._source or self._known
        return None if known is None else known.name

    @property
    def size_bytes(self) -> int | None:
        """Size in bytes; None for a stream, and for a field written by the official SDK."""
        if self._reference is not None:
            return self._reference.size if self._known is None else self._known.size
        return None if self._source is None else self._source.size

    @property
    def content_type(self) -> str | None:
        """Media type, or None."""
        known = self._source or self._known
        return None if known is None else known.content_type

    @property
    def sha256(self) -> str | None:
        """Digest of the content in hex; None before the file is stored."""
        return None if self._known is None else self._known.sha256

    @property
    def blob_ref(self) -> str | None:
        """Storage key, or None before the file is stored."""
        return None if self._reference is None else self._reference.key

    @property
    def is_offloaded(self) -> bool:
        """True if the file is in the store."""
        return self._reference is not None

    def open(
        self,
        *,
        offset: int = 0,
        length: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> BinaryIO:
        """Open the file, or a range of it, for reading; blocking.

        The reader is seekable. Each byte is verified before it is returned. It holds at most 40 MiB
        of the file, and fetches ahead while it is read in order.

        Args:
            offset: position of the first byte.
            length: number of bytes; None for all up to the end.
            on_progress: called with the progress: the bytes up to the furthest chunk that was read,
                of those in the range.

        Raises:
            OffloadedValueInWorkflowError: called in workflow code.
            ValueError: ``offset`` or ``length`` is negative.
            FileError: the file has no access to a store, or is not stored yet.
            PayloadError, StorageError: the file cannot be read or decrypted; reading it raises the
                same.
        """
        self._require_no_workflow("open()")
        reader = FileReader(self._chunked(), offset=offset, length=length, on_progress=on_progress)
        return cast("BinaryIO", io.BufferedReader(reader))

    async def open_async(
        self,
        *,
        offset: int = 0,
        length: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncFileReader:
        """Async form of `open`; its reader's methods run in threads of the store."""
        self._require_no_workflow("open_async()")
        begin = partial(self.open, offset=offset, length=length, on_progress=on_progress)
        if self._content is not None:
            return AsyncFileReader(begin(), None)
        store = self._require_store()
        reader = await store.run_async(lambda _: begin())
        return AsyncFileReader(reader, store)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the content, chunk by chunk."""
        async with await self.open_async() as reader:
            async for chunk in reader:
                yield chunk

    def download_to(
        self, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None
    ) -> Path:
        """Write the file to a path, or under its own name into a directory; blocking.

        The local file appears when it is complete, and replaces one that was there. A download to
        this path that was interrupted is continued.

        Returns:
            The path of the local file.

        Raises:
            LocalFileError: it cannot be written, the disk is full, or the file's own name cannot be
                used in a directory.
            MistralOffloadError: the errors of `open`.
        """
        self._require_no_workflow("download_to()")
        return self._download(path, on_progress, threading.Event())

    async def download_to_async(
        self, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None
    ) -> Path:
        """Async form of `download_to`; runs in a thread, and ends when it is cancelled."""
        self._require_no_workflow("download_to_async()")
        if self._content is not None:
            return await run_in_thread_async(
                lambda: self._download(path, on_progress, threading.Event())
            )
        download = partial(self._download, path, on_progress)
        return await self._require_store().run_async(download)

    # For the other modules of this package

    @property
    def source(self) -> FileSource | None:
        """The content of a file that is not stored yet."""
        return self._source if self._reference is None else None

    @property
    def description(self) -> FileDescription | None:
        """Description of an encrypted file, whose key does not contain it."""
        return self._description

    @classmethod
    def of_uploaded(cls, uploaded: Uploaded, store: FileStore) -> Self:
        """Return a file that was just stored."""
        reference, description = uploaded
        known = None if reference.name else description  # an encrypted file's key does not tell it
        return cls(reference=reference, description=known, store=store)

    def bound_to(self, store: FileStore) -> Self:
        """Return a copy that reads from a store."""
        return type(self)(
            source=self._source,
            reference=self._reference,
            description=self._description,
            store=store,
        )

    @property
    def _known(self) -> FileDescription | None:
        """Description of a stored file as far as it needs no request."""
        if self._stored is not None:
            return self._stored.file
        found = self._reference
        if found is None or found.name is None or found.size is None or found.sha256 is None:
            return self._description
        return FileDescription(found.name, found.size, found.sha256, found.content_type)

    @property
    def _content(self) -> bytes | None:
        """Content of a file that is in memory and not stored."""
        content = None if self.source is None else self.source.content
        return content if isinstance(content, bytes) else None

    def _chunked(self) -> ChunkedFile:
        if self._content is not None:
            return MemoryFile(self.name or "file", self.content_type, self._content)
        if self._reference is None:
            raise FileError(
                f"file {self.name!r} is not stored yet: read what it is made of, or return it from "
                "an activity first"
            )
        if self._stored is None:
            self._stored = self._require_store().open(self._reference)
        return self._stored

    def _download(
        self,
        path: str | os.PathLike[str],
        on_progress: OnProgress | None,
        cancelled: threading.Event,
    ) -> Path:
        chunked = self._chunked()
        meter = ProgressMeter(on_progress, chunked.file.size)
        return download(chunked, Path(path), meter, is_cancelled=cancelled.is_set)

    def _require_store(self) -> FileStore:
        if self._store is None:
            raise FileError(
                f"file {self.name or self.blob_ref!r} has no access to a store: activities and "
                "clients get it with their arguments and results, if storage is configured"
            )
        return self._store

    def _require_no_workflow(self, call: str) -> None:
        if in_workflow_code():
            raise workflow_code_error(
                f"{call} of file {self.name!r} was called in workflow code, which must not read a "
                "store: pass the file on to an activity, and call it there",
                self.name,
            )

    # Python's protocols

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OffloadableFile):
            return NotImplemented
        return (self._source, self._reference) == (other._source, other._reference)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        size = self.size_bytes
        return f"OffloadableFile({self.name!r}, {'unknown' if size is None else f'{size:,}'} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._reference is None:
            raise TypeError(f"file {self.name!r} is not stored yet, and cannot be pickled")
        return _rebuild, (type(self), self._reference.key, self._description)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    # Pydantic's protocol

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members = members_schema()
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls._read, members),
            python_schema=core_schema.union_schema(
                [
                    core_schema.is_instance_schema(cls),
                    core_schema.no_info_after_validator_function(cls._read, members),
                ],
                mode="left_to_right",
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(_write),
        )

    @classmethod
    def _read(cls, given: dict[str, Any]) -> Self:
        key, described = given.get("blob_ref"), given.get("file")
        if key is None:
            named = described or {"name": "file"}
            content = read_content_in_place(given)
            return cls(source=source_of_bytes(content, named["name"], named.get("content_type")))
        try:
            reference = FileReference.from_key(key)
        except ReferenceRefusedError as error:
            raise ValueError(str(error)) from error
        description = None
        if described is not None and reference.size is not None and "sha256" in described:
            description = FileDescription(
                described["name"],
                reference.size,
                described["sha256"],
                described.get("content_type"),
            )
        return cls(reference=reference, description=description)


def _write(file: Any) -> dict[str, Any]:
    if not isinstance(file, OffloadableFile):
        raise PydanticSerializationUnexpectedValue(
            f"expected an OffloadableFile, not {type(file).__name__}"
        )
    in_place = None if file.source is None else file.source.content
    if isinstance(in_place, bytes):
        return members_in_place(file.name, file.content_type, in_place)
    if file.blob_ref is None:
        raise FileError(
            f"file {file.name!r} is not stored: an activity stores the files that it returns, and "
            "a client those that it sends, if storage for activity fields is configured"
        )
    members: dict[str, Any] = {"value": None, "blob_ref": file.blob_ref}
    description = file.description
    if description is not None:
        members["file"] = {
            "name": description.name,
            "sha256": description.sha256,
            "content_type": description.content_type,
        }
    return members


def _rebuild(
    cls: type[OffloadableFile], key: str, description: FileDescription | None
) -> OffloadableFile:
    return cls(reference=FileReference.from_key(key), description=description)


# Serializes files outside of a model.
OffloadableFile.__pydantic_serializer__ = TypeAdapter(OffloadableFile).serializer  # type: ignore[attr-defined]
