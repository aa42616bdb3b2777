"""Parameters and annotations of the functions a worker author decorates."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from mistral_offload.errors import ConfigurationError

MISSING: Any = inspect.Parameter.empty

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class FunctionSignature:
    """What a decorated function takes and gives.

    Annotations are resolved on first use, not when the function is decorated: a sandboxed module is
    imported again for every run, and what annotations name may be defined further down.

    Raises:
        ConfigurationError: the function takes ``*args`` or ``**kwargs``, which have no names to
            map JSON to.
    """

    def __init__(self, function: Callable[..., Any], *, method: bool = False) -> None:
        self.function = function
        parameters = list(inspect.signature(function).parameters.values())
        if method:
            if not parameters:
                raise ConfigurationError(f"{self.place} is a method and needs a self parameter")
            parameters = parameters[1:]
        for parameter in parameters:
            if parameter.kind in _VARIADIC:
                raise ConfigurationError(
                    f"{self.place} takes {parameter}, but every parameter needs a name: it is a "
                    "member of a JSON object, or one payload"
                )
        self._signature = inspect.Signature(parameters)
        self.parameters: Mapping[str, inspect.Parameter] = self._signature.parameters

    @property
    def place(self) -> str:
        """Where the function is, for messages."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def names(self) -> list[str]:
        """Parameter names in declaration order."""
        return list(self.parameters)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self.function, include_extras=True)
        except (NameError, TypeError) as error:
            raise ConfigurationError(
                f"the annotations of {self.place} cannot be resolved: {error}. What they name must "
                "be imported at run time, not only under TYPE_CHECKING"
            ) from error

    def annotation(self, name: str) -> Any:
        """The type of a parameter; ``Any`` when it has no annotation."""
        return self._hints.get(name, Any)

    @property
    def result(self) -> Any:
        """The return annotation, or `MISSING`."""
        return self._hints.get("return", MISSING)

    def is_required(self, name: str) -> bool:
        """Whether a parameter has no default."""
        return self.parameters[name].default is MISSING

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """The values of a call in declaration order, defaults filled in.

        Raises:
            TypeError: the call does not fit, in Python's own words.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments[name] for name in self.parameters]

    def call_arguments(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Turn values by name into positional and keyword arguments; defaults fill the rest."""
        bound = self._signature.bind_partial()
        bound.arguments.update({name: values[name] for name in self.parameters if name in values})
        bound.apply_defaults()
        return list(bound.args), dict(bound.kwargs)


def is_model(annotation: Any) -> bool:
    """Whether a type is a pydantic model, or a union of nothing but models (and None)."""
    if get_origin(annotation) is Annotated:
        return is_model(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return all(is_model(member) for member in members)
    plain = get_origin(annotation) or annotation
    return isinstance(plain, type) and issubclass(plain, BaseModel)
