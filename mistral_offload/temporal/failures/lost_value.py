"""A value in place of one that could not be decoded; every use of it raises the original error."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from mistral_offload.temporal.failures.lost_payloads import raise_failure


class LostPayload:
    """Stands for a value that could not be decoded; every use of it raises its failure.

    Otherwise workflow code could take a wrong branch: a value that compares as "not equal" is one
    that the author did not write. Python has no means to intercept ``repr``, ``is``, ``type`` and
    ``case`` patterns for sequences and None.
    """

    __slots__ = ("_failure",)

    def __init__(self, failure: ApplicationError) -> None:
        object.__setattr__(self, "_failure", failure)

    def __repr__(self) -> str:
        return "<a value that could not be decoded>"

    def __getattribute__(self, name: str) -> NoReturn:
        _fail(self)


def _fail(lost: LostPayload) -> NoReturn:
    failure: ApplicationError = object.__getattribute__(lost, "_failure")
    raise_failure(failure)


def _raising(name: str) -> Callable[..., NoReturn]:
    def method(self: LostPayload, *_: Any, **__: Any) -> NoReturn:
        _fail(self)

    method.__name__ = method.__qualname__ = name
    return method


# Each also with r and i in front.
_BINARY = (  # noqa: SIM905
    "add and divmod floordiv lshift matmul mod mul or pow rshift sub truediv xor"
).split()
_METHODS = (  # noqa: SIM905
    # comparison, truth, text
    "eq ne lt le gt ge hash bool str bytes format "
    # numbers
    "neg pos abs invert int float complex index round trunc floor ceil "
    # containers and iteration
    "len length_hint iter next reversed contains getitem setitem delitem missing "
    # attributes, also as a descriptor; calls
    "setattr delattr dir get set delete set_name call "
    # waiting and context managers
    "await aiter anext enter exit aenter aexit "
    # types, copies, buffers, files
    "instancecheck subclasscheck mro_entries class_getitem copy deepcopy replace "
    "reduce reduce_ex getstate setstate getnewargs getnewargs_ex sizeof buffer release_buffer "
    "fspath"
).split()

for _name in [*_METHODS, *(f"{_side}{_each}" for _each in _BINARY for _side in ("", "r", "i"))]:
    setattr(LostPayload, f"__{_name}__", _raising(f"__{_name}__"))

# So that a pattern like ``case {"mode": mode}`` uses it, and raises, instead of not matching.
ABCMeta.register(cast("Any", Mapping), LostPayload)


def require_delivered(values: Iterable[Any]) -> None:
    """Raise the failure of the first lost payload.

    Raises:
        ApplicationError: a value is a lost payload; not retryable, unless a retry may fix it.
    """
    for value in values:
        if type(value) is LostPayload:
            _fail(value)


@contextmanager
def unmasked() -> Generator[None]:
    """Raise the failure of a lost value instead of pydantic's error that it is of another type.

    Pydantic looks at a value without using it.
    """
    try:
        yield
    except ValidationError as error:
        require_delivered(each["input"] for each in error.errors(include_url=False))
        raise
