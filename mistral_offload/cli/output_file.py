"""Where ``--out`` puts bytes: a file that only its owner can read, or a pipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mistral_offload.errors import ConfigurationError

_OWNER_ONLY = 0o600


class Destination:
    """A file that is to be written, or stdout where that is a pipe.

    Args:
        name: of the file; ``-`` is stdout.
        overwrite: whether the file may exist.

    Raises:
        ConfigurationError: the file exists, its directory does not, or stdout is a terminal.
    """

    def __init__(self, name: str, *, overwrite: bool) -> None:
        self.name = name
        self._overwrite = overwrite
        if self.is_pipe:
            if sys.stdout.isatty():
                raise ConfigurationError(
                    "--out - writes bytes as they are, and stdout is a terminal: name a file, or "
                    "send it through a pipe"
                )
        elif Path(name).exists() and not overwrite:
            raise self._exists()
        elif not Path(name).absolute().parent.is_dir():
            raise ConfigurationError(f"--out {name}: there is no such directory")

    @property
    def is_pipe(self) -> bool:
        """Whether it is stdout, on which nothing else may be printed then."""
        return self.name == "-"

    def write(self, data: bytes) -> None:
        """Write the bytes, exactly.

        Raises:
            ConfigurationError: the file has come to exist, or cannot be written.
        """
        if self.is_pipe:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        mode = os.O_TRUNC if self._overwrite else os.O_EXCL
        binary: int = getattr(os, "O_BINARY", 0)
        try:
            number = os.open(self.name, os.O_WRONLY | os.O_CREAT | mode | binary, _OWNER_ONLY)
            with os.fdopen(number, "wb") as file:
                file.write(data)
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            raise ConfigurationError(
                f"--out {self.name} cannot be written: {error.strerror}"
            ) from error

    def _exists(self) -> ConfigurationError:
        return ConfigurationError(
            f"--out {self.name} exists, and nothing was written: --overwrite replaces it"
        )
