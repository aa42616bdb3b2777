"""The ``mistral-offload`` command.

Little is imported before `main` runs, so that Ctrl-C in the first moments prints no traceback.
"""

from __future__ import annotations

import os
import sys

from mistral_offload._lazy_names import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from mistral_offload.errors import MistralOffloadError

_INTERRUPTED = 130


def main() -> None:
    """Run the command line; the entry point of the console script.

    Exit codes: 0 success; 1 failure; 2 the command cannot work as given (a wrong option, a wrong
    setting, a package that is not installed); 130 interrupted by Ctrl-C.

    With ``--json``, an error is also printed on stdout as a JSON document.
    """
    try:
        from mistral_offload.cli.interrupts import ended_by_interrupts

        with ended_by_interrupts():
            _run()
    except KeyboardInterrupt:  # before the block, which handles it, was entered
        os._exit(_INTERRUPTED)


def _run() -> None:
    # Imported here, and not above, so that Ctrl-C meanwhile prints no traceback.
    from mistral_offload.errors import ConfigurationError, MissingExtraError, MistralOffloadError

    try:
        from mistral_offload.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        _fail(MissingExtraError("the command line", "cli"), 2)
    try:
        app(prog_name="mistral-offload")
    except ConfigurationError as error:
        _fail(error, 2)
    except MistralOffloadError as error:
        _fail(error, 1)


def _fail(error: MistralOffloadError, code: int) -> NoReturn:
    """Print an error without a traceback, since its message states the remedy, and exit."""
    from mistral_offload.cli.json_output import write_json

    if "--json" in sys.argv:  # not parsed, since the options may be what is wrong
        write_json({"error": {"type": type(error).__name__, "message": str(error)}})
    sys.stderr.write(f"mistral-offload: {error}\n")
    raise SystemExit(code)
