"""Rules for every error: for example, it survives pickling, as process pools need."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from mistral_offload import errors
from mistral_offload.errors import MistralOffloadError

MEMBERS = {
    "what": "the input of workflow 'w'",
    "purpose": "s3 storage",
    "message": "it failed",
    "size": 3,
    "limit": 2,
    "remedy": "Split it.",
    "extra": "s3",
    "key": "a/key",
    "field": "transcript",
    "provider": "s3",
    "container": "bucket",
    "reason": "read_error",
    "error": "gone",
    "status_code": 404,
    "body": "{}",
    "headers": {"x": "y"},
    "execution_id": "e",
    "status": "FAILED",
    "failure_type": "TornPageError",
    "path": ("title",),
    "causes": (("OSError", "disk full"),),
    "problems": ("pages.3: Input should be a valid string",),
    "result": {"pages": [5]},
}


def every_kind(kind: type[MistralOffloadError]) -> Iterator[type[MistralOffloadError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from every_kind(below)


def make(kind: type[MistralOffloadError]) -> MistralOffloadError:
    code = kind.__init__.__code__ if hasattr(kind.__init__, "__code__") else None
    if code is None:
        return kind("it failed")
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    positional = names[: code.co_argcount - 1]
    keywords = {name: MEMBERS[name] for name in names[len(positional) :]}
    return kind(*(MEMBERS[name] for name in positional), **keywords)


@pytest.mark.parametrize("kind", sorted(set(every_kind(MistralOffloadError)), key=str))
def test_an_error_survives_pickling_and_copying(kind: type[MistralOffloadError]) -> None:
    error = make(kind)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
