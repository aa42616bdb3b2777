"""Types whose values are JSON objects of their own: pydantic models, and unions of only models."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def is_model(annotation: Any) -> bool:
    """Return True for a pydantic model and for a union of only models (and None)."""
    return bool(models_of(annotation))


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Return the model, or the models of a union; none if the type is, or has, anything else.

    None may be in the union, too.
    """
    if get_origin(annotation) is Annotated:
        return models_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [models_of(each) for each in get_args(annotation) if each is not type(None)]
        return [model for found in members for model in found] if all(members) else []
    plain = get_origin(annotation) or annotation
    return [plain] if isinstance(plain, type) and issubclass(plain, BaseModel) else []
