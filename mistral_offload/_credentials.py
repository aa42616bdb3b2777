"""Credentials as users paste, mount and write them: white space removed, the rest checked.

No error here quotes a credential, or any part of one. Each names the setting, the file if there is
one, and the position of the character that cannot be sent.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from mistral_offload.errors import ConfigurationError

_WHITE_SPACE = " \t\r\n\v\f"
"""Characters removed at both ends. Others, such as a no-break space, are an error."""

_UNSENDABLE = re.compile(r"[^\x20-\x7e]")
_SPACE_OR_UNSENDABLE = re.compile(r"[^\x21-\x7e]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_NAMED = {
    "\n": "a line break",
    "\r": "a line break",
    "\t": "a tab",
    "\0": "a NUL character",
    "\ufeff": "a byte order mark",
    "\u00a0": "a no-break space",
    " ": "a space",
}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def strip_credential(
    text: str,
    setting: str,
    *,
    spaces: bool = False,
    error_class: type[ConfigurationError] = ConfigurationError,
) -> str:
    """Return a credential without white space at its ends.

    Args:
        text: the credential.
        setting: its setting, and its file if there is one, as they are named in an error.
        spaces: True if it may contain spaces; a token with the prefix "Bearer" always may.
        error_class: class of the errors.

    Raises:
        ConfigurationError: it is not a text, is empty, or contains a character that no HTTP header
            carries.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a user's value
        raise error_class(f"{setting} must be a text, not {type(text).__name__}")
    stripped = text.strip(_WHITE_SPACE)
    if not stripped:
        raise error_class(f"{setting} is empty: set it, or leave it out")
    spaces = spaces or stripped.lower().startswith("bearer ")
    found = (_UNSENDABLE if spaces else _SPACE_OR_UNSENDABLE).search(stripped)
    if found is not None:
        position = found.start() + 1 + len(text) - len(text.lstrip(_WHITE_SPACE))
        problem = error_class(
            f"{setting} cannot be used: character {position} is {_described(found[0])}, which does "
            "not belong there. Copy the value again, without quotes and line breaks"
        )
        del text, stripped, found  # error trackers show local variables
        raise problem
    return stripped


def read_credential(
    path: Path, setting: str, *, error_class: type[ConfigurationError] = ConfigurationError
) -> str:
    """Return the credential in a file, without white space at its ends.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or contains a character that no HTTP
            header carries.
    """
    place = f"the file {str(path)!r} ({setting})"
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    else:
        return _decoded(content, place, error_class)
    raise error_class(f"{place} cannot be read: {reason}")


def _decoded(content: bytes, place: str, error_class: type[ConfigurationError]) -> str:
    if content.startswith(_UTF16_MARKS):
        raise error_class(
            f"{place} cannot be used: byte 1 begins a text in UTF-16. Save it as ASCII or UTF-8"
        )
    try:
        text, position = content.decode(), 0
    except UnicodeDecodeError as error:
        text, position = "", error.start + 1
    if position:  # outside of the except block: the error holds the content
        raise error_class(
            f"{place} cannot be used: byte {position} is not text. Save it as ASCII or UTF-8"
        )
    return strip_credential(text, place, error_class=error_class)


def check_header(name: str, value: str | bytes, setting: str) -> str | bytes:
    """Return the value of an HTTP header without white space at its ends.

    Bytes may be in any encoding.

    Raises:
        ConfigurationError: it contains a character that no header carries, or is not a text.
    """
    place = f"the header {name!r} in {setting}"
    if isinstance(value, bytes):
        stripped = value.strip(_WHITE_SPACE.encode())
        strip_credential(_BEYOND_ASCII.sub(b"?", stripped).decode() or "?", place, spaces=True)
        return stripped
    is_blank = isinstance(value, str) and not value.strip(_WHITE_SPACE)  # pyright: ignore[reportUnnecessaryIsInstance]
    return "" if is_blank else strip_credential(value, place, spaces=True)


def check_url(
    url: str,
    setting: str,
    *,
    remedy: str,
    query: bool = False,
    error_class: type[ConfigurationError] = ConfigurationError,
) -> SplitResult:
    """Return the parts of an http(s) URL that contains no secret.

    Args:
        url: the URL.
        setting: its setting, as it is named in an error.
        remedy: the place where credentials belong; ends the error for a URL with a secret.
        query: True if the URL may have a query.
        error_class: class of the errors.

    Raises:
        ConfigurationError: it is not an http(s) URL, or contains a user name, a password or, unless
            allowed, a query.
    """
    try:
        parts = urlsplit(url.strip(_WHITE_SPACE))
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        parts, is_address = SplitResult("", "", "", "", ""), False
    if "@" in parts.netloc or (parts.query and not query):
        raise error_class(
            f"{setting} must not contain a user name, a password or a query: {remedy}"
        )
    if is_address and not _SPACE_OR_UNSENDABLE.search(url.strip(_WHITE_SPACE)):
        return parts
    raise error_class(f"{setting} {shown_url(url)} is not an http(s) address, as https://host")


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: what may be a password or a signature is left out."""
    if "@" in url or "?" in url:
        try:
            parts = urlsplit(url)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return "(not shown: it may contain a password)"
        if not parts.hostname:
            return "(not shown: it may contain a password)"
        login = "***@" if "@" in parts.netloc else ""
        return repr(f"{parts.scheme}://{login}{parts.hostname}{port}{parts.path}")
    return repr(url)


def _described(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    return "a control character" if character < "\x80" else "not an ASCII character"
