"""The destination of ``--out``: a file that only its owner can read, or a pipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mistral_offload.errors import ConfigurationError

_OWNER_ONLY = 0o600


class Destination:
    """A file to write, or stdout if that is a pipe.

    Args:
        name: the file's name; ``-`` is stdout.
        overwrite: replace the file if it exists.

    Raises:
        ConfigurationError: the file exists, its directory does not, or stdout is a terminal.
    """

    def __init__(self, name: str, *, overwrite: bool) -> None:
        self.name = name
        self._overwrite = overwrite
        if self.is_pipe:
            if sys.stdout.isatty():
                raise ConfigurationError(
                    "--out - writes raw bytes, and stdout is a terminal: pass a file name, or pipe "
                    "the output"
                )
        elif Path(name).exists() and not overwrite:
            raise self._exists()
        elif not Path(name).absolute().parent.is_dir():
            raise ConfigurationError(f"--out {name}: no such directory")

    @property
    def is_pipe(self) -> bool:
        """True for stdout, on which nothing else may be printed then."""
        return self.name == "-"

    def write(self, data: bytes) -> None:
        """Write the bytes unchanged.

        Raises:
            ConfigurationError: the file has been created meanwhile, or cannot be written.
        """
        if self.is_pipe:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        mode = os.O_TRUNC if self._overwrite else os.O_EXCL
        binary: int = getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.name, os.O_WRONLY | os.O_CREAT | mode | binary, _OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            raise ConfigurationError(
                f"--out {self.name} cannot be written: {error.strerror}"
            ) from error

    def _exists(self) -> ConfigurationError:
        return ConfigurationError(
            f"nothing was written: --out {self.name} exists; pass --overwrite to replace it"
        )
