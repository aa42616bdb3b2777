"""Members whose value JSON text does not hold, although pydantic wrote it without an error.

NaN and infinity in models, dataclasses and typed dicts become ``null`` unless the configuration of
the class says otherwise; the value of a ``Secret`` becomes asterisks. Both are looked for only if
the text has a ``null`` or asterisks in it, and only below classes that can hold such values.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from types import NoneType
from typing import Any, cast

from pydantic import (
    BaseModel,
    PlainSerializer,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    WrapSerializer,
)
from pydantic_core import from_json

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.payload.members import fields_of, format_path, members_of
from mistral_offload.payload.model_traits import traits_of

# A pattern is found in two thirds of the time that `in` takes.
_NULL = re.compile(rb"null")
_MASK = b'"**********"'
_SECRETS = (Secret, SecretStr, SecretBytes)
_LEAVES = frozenset({str, int, bool, bytes, NoneType})


def require_complete(value: object, data: bytes, *, inferred: bool = True) -> None:
    """Check that JSON text holds what a value holds.

    Args:
        value: the value.
        data: the text written for it.
        inferred: True if no type was given to the writer, which then writes numbers outside of
            classes as they are.

    Raises:
        PayloadSerializationError: a member is not in the text; the error names it, and does not
            show its value.
    """
    if not _is_suspect(value, data, inferred=inferred):
        return
    loss = _find_loss(value, from_json(data), [], None)
    if loss is not None:
        raise loss


def _is_suspect(value: object, data: bytes, *, inferred: bool) -> bool:
    """Return False if nothing can have been lost; the cheapest tests come first."""
    kind = type(value)
    if kind in _LEAVES or (kind is float and inferred):
        return False
    if _shows_secret(data):
        return _is_lossy(value)
    if issubclass(kind, BaseModel) and not traits_of(kind).is_lossy:
        return False
    if not _NULL.search(data) or (inferred and _has_only_builtins(value)):
        return False
    return _is_lossy(value)


def _shows_secret(data: bytes) -> bool:
    # Subclasses may be shown in their own way. One byte is found many times faster than two.
    return len(cast("Any", Secret).__subclasses__()) > 0 or (b"*" in data and _MASK in data)


def _has_only_builtins(value: Any) -> bool:
    """Return True if a value has no object of a class in it; marshal refuses such objects."""
    try:
        marshal.dumps(value)
    except ValueError:
        return False
    return True


def _is_lossy(value: Any) -> bool:
    """Return True if a value is, or has at any depth, a number that is not finite or a secret."""
    lossy_fields: dict[type, tuple[str, ...] | None] = {}  # by model; None: look at every member
    pending: list[object] = [[value]]
    while pending:
        given = pending.pop()
        kind = type(given)
        container: Any = given  # without a call, which would cost as much as the rest
        items: Iterable[object]
        if kind is dict:
            items = container.values()
        elif kind is list or kind is tuple:
            items = container
        else:
            if kind not in lossy_fields:
                lossy_fields[kind] = _lossy_fields(kind)
            fields = lossy_fields[kind]
            if fields is not None:
                items = map(container.__dict__.get, fields)
            elif _is_lossy_by_itself(container):
                return True
            else:
                items = [member.value for member in members_of(container)]
        for item in items:
            if type(item) is float:
                if not isfinite(item):
                    return True
            elif type(item) not in _LEAVES:
                pending.append(item)
    return False


def _is_lossy_by_itself(value: object) -> bool:
    return isinstance(value, _SECRETS) or (isinstance(value, float) and not isfinite(value))


def _lossy_fields(kind: type) -> tuple[str, ...] | None:
    if not issubclass(kind, BaseModel):
        return None
    traits = traits_of(kind)
    return None if traits.allows_extra else traits.lossy_fields


def _find_loss(
    value: Any, written: Any, path: Sequence[str], owner: type | None
) -> PayloadSerializationError | None:
    """Compare a value with what was written for it; return the error for the first loss.

    Where an author's own serializer wrote something of another shape, nothing is compared.
    """
    if isinstance(value, float):
        lost = written is None and not isfinite(value)
        return _lost_number(value, path, owner) if lost else None
    if isinstance(value, _SECRETS):
        return _lost_secret(cast("object", value), path) if _is_mask(value, written) else None
    kind = type(cast("object", value))
    if hasattr(kind, "__pydantic_serializer__"):
        owner = kind
        if _has_serializer(kind):
            return None
    if isinstance(value, RootModel):
        return _find_loss(cast("Any", value).root, written, path, owner)
    members = list(members_of(value))
    if members and members[0].key is None:
        texts = list(_values(written))
        if len(texts) != len(members):
            return None
        pairs = list(zip(members, texts, strict=True))
    elif isinstance(written, dict):
        found = cast("dict[str, Any]", written)
        pairs = [
            (member, found.get(member.key or "", found.get(member.name, ...)))
            for member in members
            if not _has_serializer(kind, member.name)
        ]
    else:
        return None
    for member, text in pairs:
        loss = _find_loss(member.value, text, [*path, member.name], owner)
        if loss is not None:
            return loss
    return None


def _values(written: Any) -> Sequence[Any]:
    if isinstance(written, dict):
        return list(cast("dict[str, Any]", written).values())
    return cast("Sequence[Any]", written) if isinstance(written, list) else ()


def _has_serializer(kind: Any, name: str | None = None) -> bool:
    """Return True if a class, or one of its fields, has a serializer of its author's."""
    decorators = getattr(kind, "__pydantic_decorators__", None)
    if name is None:
        return bool(decorators and decorators.model_serializers)
    metadata = getattr(fields_of(kind).get(name), "metadata", ())
    if any(isinstance(each, PlainSerializer | WrapSerializer) for each in metadata):
        return True
    own = decorators.field_serializers.values() if decorators else ()
    return any(name in each.info.fields or "*" in each.info.fields for each in own)


def _is_mask(value: Any, written: Any) -> bool:
    secret = value.get_secret_value()
    if isinstance(secret, bytes):
        secret = secret.decode(errors="replace")
    return written in (str(value), _MASK[1:-1].decode()) and written != secret


def _lost_number(
    value: float, path: Sequence[str], owner: type | None
) -> PayloadSerializationError:
    name = "this type" if owner is None else owner.__name__
    return PayloadSerializationError(
        f"{_where(path)}{value} would arrive as null, because {name} writes NaN and infinity that "
        'way. Set ser_json_inf_nan="constants" in its model_config (ConfigDict), or use None',
        path=path,
    )


def _lost_secret(value: object, path: Sequence[str]) -> PayloadSerializationError:
    return PayloadSerializationError(
        f"{_where(path)}a {type(value).__name__} is written as asterisks, and its value would be "
        "lost. To send the value, give the field a serializer that returns get_secret_value(), or "
        "use EncryptedStrField with payload encryption",
        path=path,
    )


def _where(path: Sequence[str]) -> str:
    return f"{format_path(path)}: " if path else ""
