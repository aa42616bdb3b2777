"""Parameters and annotations of decorated functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, get_type_hints

from mistral_offload.errors import ConfigurationError

MISSING: Any = inspect.Parameter.empty

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class FunctionSignature:
    """Parameters and return annotation of a decorated function.

    Annotations are resolved on first use, not when the function is decorated: a sandboxed module is
    imported again for every run, and annotations may name types defined further down.

    Args:
        function: the function.
        method: True for a method, whose first parameter is ``self``.

    Raises:
        ConfigurationError: the function takes ``*args`` or ``**kwargs``, which have no names to
            map JSON to.
    """

    def __init__(self, function: Callable[..., Any], *, method: bool = False) -> None:
        self.function = function
        parameters = list(inspect.signature(function).parameters.values())
        if method:
            if not parameters:
                raise ConfigurationError(
                    f"{self.qualified_name} is a method and needs a self parameter"
                )
            parameters = parameters[1:]
        for parameter in parameters:
            if parameter.kind in _VARIADIC:
                raise ConfigurationError(
                    f"{self.qualified_name} takes {parameter}, but every parameter needs a name: "
                    "it is one member of a JSON object, or one payload"
                )
        self._signature = inspect.Signature(parameters)
        self.parameters: Mapping[str, inspect.Parameter] = self._signature.parameters

    @property
    def qualified_name(self) -> str:
        """Module and qualified name of the function, for messages."""
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
                f"the annotations of {self.qualified_name} cannot be resolved: {error}. Import the "
                "types they name at run time, not only under TYPE_CHECKING"
            ) from error

    def annotation(self, name: str) -> Any:
        """Return the type of a parameter; ``Any`` without an annotation."""
        return self._hints.get(name, Any)

    @property
    def result(self) -> Any:
        """Return annotation of the function, or `MISSING`."""
        return self._hints.get("return", MISSING)

    def is_required(self, name: str) -> bool:
        """Return True when a parameter has no default."""
        return self.parameters[name].default is MISSING

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Return the values of a call in declaration order, with defaults filled in.

        Raises:
            TypeError: the arguments do not match; the message is Python's own.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments[name] for name in self.parameters]

    def call_arguments(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and keyword arguments for values by name; defaults fill the rest."""
        bound = self._signature.bind_partial()
        bound.arguments.update({name: values[name] for name in self.parameters if name in values})
        bound.apply_defaults()
        return list(bound.args), dict(bound.kwargs)
