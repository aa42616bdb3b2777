"""A lost value: every use of it raises the original error, except those Python does not show."""

from __future__ import annotations

import collections.abc
import contextlib
import copy
import inspect
import json
import math
import operator
import os
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

import pydantic
import pydantic_core
import pytest
from temporalio.exceptions import ApplicationError

from mistral_offload.temporal.failures.lost_value import LostPayload, require_delivered

FAILURE = ApplicationError("the original error", type="BlobNotFoundError", non_retryable=True)

CLASSES: list[Any] = [
    *(each for each in vars(__import__("builtins")).values() if isinstance(each, type)),
    *(each for each in vars(types).values() if isinstance(each, type)),
    *(each for each in vars(collections).values() if isinstance(each, type)),
    *(each for each in vars(collections.abc).values() if isinstance(each, type)),
    contextlib.AbstractContextManager,
    contextlib.AbstractAsyncContextManager,
    os.PathLike,
    type(iter([])),
    type(property()),
]

METHODS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    classmethod,
    staticmethod,
)

NOT_INTERCEPTED = {
    "__repr__": "logs and tracebacks show it",
    "__del__": "the end of a value is no use of it",
    "__new__": "of the class",
    "__init__": "of the class",
    "__init_subclass__": "of the class",
    "__subclasshook__": "of the class",
    "__prepare__": "of a metaclass",
    "__subclasses__": "of a metaclass",
    "__alloc__": "an ordinary method of bytearray",
    "__getformat__": "an ordinary method of float",
    "__setformat__": "an ordinary method of float",
}


def special_methods() -> set[str]:
    """Return the names of special methods that this Python's types have."""
    names = {
        name
        for kind in CLASSES
        for name in dir(kind)
        if isinstance(inspect.getattr_static(kind, name, None), METHODS)
    }
    return {name for name in names if name.startswith("__") and name.endswith("__")}


def raising(use: Callable[[Any], object]) -> None:
    with pytest.raises(ApplicationError) as caught:
        use(LostPayload(FAILURE))
    assert caught.value is FAILURE


@pytest.mark.parametrize("name", sorted(special_methods() - NOT_INTERCEPTED.keys()))
def test_each_special_method_raises(name: str) -> None:
    """A name that a new Python adds must be intercepted, or be listed with a reason."""
    method = LostPayload.__dict__[name]
    raising(lambda lost: method(lost, "name"))


def test_the_methods_are_enough() -> None:
    assert len(special_methods()) > 100


OPERATORS = {
    name: function
    for name, function in vars(operator).items()
    if not name.startswith("_") and callable(function) and not isinstance(function, type)
}
CANNOT = {"is_", "is_not", "is_none", "is_not_none"}
UNARY = {"abs", "call", "index", "inv", "invert", "length_hint", "neg", "not_", "pos", "truth"}
REFLECTED = {
    *("add", "and_", "floordiv", "lshift", "matmul", "mod", "mul", "or_", "pow", "rshift", "sub"),
    *("truediv", "xor", "iadd", "iand", "ifloordiv", "ilshift", "imatmul", "imod", "imul", "ior"),
    *("ipow", "irshift", "isub", "itruediv", "ixor", "eq", "ne", "lt", "le", "gt", "ge"),
}
NO_METHOD = {"concat", "iconcat"}
"""Of sequences in C only: they raise TypeError for any object of a class."""


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - CANNOT - NO_METHOD))
def test_each_operator_raises(name: str) -> None:
    function = OPERATORS[name]
    if name == "setitem":
        raising(lambda lost: function(lost, 0, 0))
    elif name in UNARY:
        raising(function)
    else:
        raising(lambda lost: function(lost, 1))
    if name in REFLECTED:
        raising(lambda lost: function(1, lost))


def match_value(lost: Any) -> bool:
    match lost:
        case "a":
            return True
    return False


def match_class(lost: Any) -> bool:
    match lost:
        case str():
            return True
    return False


def match_mapping(lost: Any) -> bool:
    match lost:
        case {"mode": _}:
            return True
    return False


def enter(lost: Any) -> None:
    with lost:
        pass


def assign(lost: Any) -> None:
    lost.member = 1


def remove(lost: Any) -> None:
    del lost.member


def remove_item(lost: Any) -> None:
    del lost["member"]


def as_attribute(lost: Any) -> object:
    class Holder:
        value: Any

    Holder.value = lost
    return Holder().value


async def wait(lost: Any) -> None:
    await lost


async def iterate(lost: Any) -> None:
    async for _ in lost:
        pass


async def enter_later(lost: Any) -> None:
    async with lost:
        pass


class Model(pydantic.BaseModel):
    value: Any = None


USES: dict[str, Callable[[Any], object]] = {
    "hash": hash,
    "set": lambda lost: {lost},
    "key": lambda lost: {}.get(lost),
    "in": lambda lost: lost in ["a"],
    "contains": lambda lost: "a" in lost,
    "not": lambda lost: not lost,
    "if": lambda lost: 1 if lost else 2,
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "str": str,
    "bytes": bytes,
    "bytearray": bytearray,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "format": lambda lost: f"{lost}",
    "percent": lambda lost: "%s" % lost,  # noqa: UP031
    "join": lambda lost: [*lost],
    "mapping": lambda lost: {**lost},
    "unpack": lambda lost: print(*lost),
    "round": round,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "isfinite": math.isfinite,
    "divmod": lambda lost: divmod(lost, 1),
    "rdivmod": lambda lost: divmod(1, lost),
    "pow": lambda lost: pow(lost, 2, 3),
    "range": range,
    "index": lambda lost: [1][lost],
    "slice": lambda lost: [1][lost:],
    "len": len,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "sorted": sorted,
    "sum": lambda lost: sum([lost]),
    "max": lambda lost: max([lost, 1]),
    "call": lambda lost: lost(),
    "get": lambda lost: lost.member,
    "dunder": lambda lost: lost.__class__,
    "getattr": lambda lost: getattr(lost, "member", None),
    "hasattr": lambda lost: hasattr(lost, "__len__"),
    "set attribute": assign,
    "delete attribute": remove,
    "delete item": remove_item,
    "class attribute": as_attribute,
    "dir": dir,
    "vars": vars,
    "isinstance": lambda lost: isinstance(lost, str),
    "isinstance of": lambda lost: isinstance("a", lost),
    "issubclass of": lambda lost: issubclass(str, lost),
    "abstract class": lambda lost: isinstance(lost, collections.abc.Mapping),
    "with": enter,
    "match value": match_value,
    "match class": match_class,
    "match mapping": match_mapping,
    "copy": copy.copy,
    "deepcopy": lambda lost: copy.deepcopy({"a": [lost]}),
    "pickle": pickle.dumps,
    "json": json.dumps,
    "json in": lambda lost: json.dumps({"a": [lost]}),
    "pydantic json": pydantic_core.to_jsonable_python,
    "fspath": os.fspath,
    "open": open,
    "sizeof": sys.getsizeof,
    "equal lists": lambda lost: [lost] == ["a"],
    "equal dicts": lambda lost: {"a": lost} == {"a": 1},
    "model": lambda lost: Model(value=lost) == Model(value=1),
}


@pytest.mark.parametrize("use", USES)
def test_each_use_raises(use: str) -> None:
    raising(USES[use])


@pytest.mark.parametrize("use", [wait, iterate, enter_later])
async def test_each_asynchronous_use_raises(use: Callable[[Any], Any]) -> None:
    with pytest.raises(ApplicationError) as caught:
        await use(LostPayload(FAILURE))
    assert caught.value is FAILURE


def test_what_cannot_raise() -> None:
    lost: Any = LostPayload(FAILURE)
    assert repr(lost) == "<a value that could not be decoded>"
    assert lost is lost
    assert type(lost) is LostPayload
    match lost:
        case None | [_, *_]:
            raise AssertionError("it matches")


def test_it_is_recognized() -> None:
    require_delivered([1, "a", None])
    raising(lambda lost: require_delivered([1, lost]))
