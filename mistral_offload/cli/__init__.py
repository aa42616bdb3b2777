"""The ``mistral-offload`` command."""

from __future__ import annotations

import sys
from typing import NoReturn

from mistral_offload.cli.json_output import write_json
from mistral_offload.errors import ConfigurationError, MissingExtraError, MistralOffloadError


def main() -> None:
    """Run the command line; the entry point of the console script.

    Exit codes: 0 done, 1 it failed, 2 it was asked for in a way that cannot work (a wrong option,
    a wrong setting, a package that is not installed).

    With ``--json`` an error is a JSON document on stdout as well.
    """
    try:
        from mistral_offload.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        _fail(MissingExtraError("the command line", "cli"), 2)
    try:
        app()
    except ConfigurationError as error:
        _fail(error, 2)
    except MistralOffloadError as error:
        _fail(error, 1)


def _fail(error: MistralOffloadError, code: int) -> NoReturn:
    """Tell what is wrong, without a traceback: the message says what to do."""
    if "--json" in sys.argv:  # the option may be wrong itself, so it is not parsed here
        write_json({"error": {"type": type(error).__name__, "message": str(error)}})
    sys.stderr.write(f"mistral-offload: {error}\n")
    raise SystemExit(code)
