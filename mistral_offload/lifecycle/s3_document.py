"""The lifecycle configuration of an S3 bucket, as XML.

As XML and not as boto3 reads it: what boto3 does not know yet, it would drop, and the next write
would take it from the bucket. Every rule has an ``ID``; ours begin with ``mistral-offload:``.

A rule names its prefix in a ``Filter`` or, as S3 did at first, directly; one configuration cannot
have both forms, so ours takes the one that is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree  # botocore has read the same text with it before
from xml.etree.ElementTree import Element, SubElement

from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.rules import ExpiryRule

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_OURS = "mistral-offload:"
_LONGEST_ID = 255

NONCURRENT_DAYS = 7
"""After how many days a versioned bucket drops what was deleted or has expired."""

ABORT_DAYS = 1
"""After how many days parts of an upload that was never finished are removed."""

_CONDITIONS = ("Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


class S3Document(LifecycleDocument):
    """Expiry rules of an S3 bucket.

    Args:
        xml: the configuration as it was read, or None where the bucket has none.
        minimum_size: what the answer said of the smallest objects that change their storage class,
            which is told apart from the rest; None if nothing.
    """

    def __init__(self, xml: bytes | None = None, *, minimum_size: str | None = None) -> None:
        self._xml = xml or f'<LifecycleConfiguration xmlns="{_NAMESPACE}"/>'.encode()
        self.minimum_size = minimum_size

    def to_xml(self) -> bytes:
        """The configuration as it is to be written."""
        return self._xml

    @property
    def rules(self) -> tuple[ExpiryRule, ...]:
        """The rules that remove current objects.

        One that does so at a date, not at an age, has 0 days and is conditional.
        """
        return tuple(rule for entry in self._entries(self._root()) for rule in _rules_of(entry))

    def with_expiry(self, prefix: str, days: int) -> S3Document:
        """The document with our rule for a prefix, in the place of the one it may have had."""
        root = self._root()
        entries = list(self._entries(root))
        is_legacy = any(_child(entry, "Prefix") is not None for entry in entries)
        ours = _written(prefix, days, is_legacy=is_legacy)
        name = id_for(prefix)
        for entry in entries:
            if _text(entry, "ID") == name:
                if _meaning(entry) == _meaning(ours):
                    return self
                root[list(root).index(entry)] = _qualified(ours, _namespace(root))
                break
        else:
            root.append(_qualified(ours, _namespace(root)))
        xml = ElementTree.tostring(root, "utf-8", default_namespace=_namespace(root) or None)
        return S3Document(xml, minimum_size=self.minimum_size)

    def __eq__(self, other: object) -> bool:
        # Not the minimum size: a bucket that had no configuration has none, and then S3's default.
        return isinstance(other, S3Document) and _meaning(self._root()) == _meaning(other._root())

    def __hash__(self) -> int:
        return hash(repr(_meaning(self._root())))

    def _root(self) -> Element:
        return ElementTree.fromstring(self._xml)  # noqa: S314 - see the import

    @staticmethod
    def _entries(root: Element) -> Iterator[Element]:
        return (child for child in root if _name(child) == "Rule")


def id_for(prefix: str) -> str:
    """What our rule for a prefix is called; a prefix that is too long for S3 goes by its digest."""
    name = _OURS + prefix
    if len(name) <= _LONGEST_ID:
        return name
    return f"{_OURS}sha256:{hashlib.sha256(prefix.encode()).hexdigest()}"


def _rules_of(entry: Element) -> Iterator[ExpiryRule]:
    expiration = _child(entry, "Expiration")
    if expiration is None:
        return
    days, date = _text(expiration, "Days"), _text(expiration, "Date")
    if days is None and date is None:
        return  # it removes markers of what was deleted, no objects
    scope = _child(entry, "Filter")
    joined = _child(scope, "And") if scope is not None else None
    places = [place for place in (joined, scope, entry) if place is not None]
    prefixes = (_text(place, "Prefix") for place in places)
    name = _text(entry, "ID")
    yield ExpiryRule(
        next((prefix for prefix in prefixes if prefix is not None), ""),
        int(days or 0),
        name=name,
        enabled=_text(entry, "Status") == "Enabled",
        is_conditional=days is None
        or any(_child(place, name) is not None for place in places for name in _CONDITIONS),
        is_ours=(name or "").startswith(_OURS),
    )


def _written(prefix: str, days: int, *, is_legacy: bool) -> Element:
    """Our rule: expiry, and what else keeps bytes that nobody reads.

    Expiry in a versioned bucket only hides an object; its versions have to expire as well.
    """
    rule = Element("Rule")
    _add(rule, "ID", id_for(prefix))
    _add(rule if is_legacy else SubElement(rule, "Filter"), "Prefix", prefix)
    _add(rule, "Status", "Enabled")
    _add(SubElement(rule, "Expiration"), "Days", str(days))
    _add(SubElement(rule, "NoncurrentVersionExpiration"), "NoncurrentDays", str(NONCURRENT_DAYS))
    _add(SubElement(rule, "AbortIncompleteMultipartUpload"), "DaysAfterInitiation", str(ABORT_DAYS))
    return rule


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text


def _qualified(element: Element, namespace: str) -> Element:
    """The same element in a namespace."""
    for part in element.iter():
        part.tag = f"{{{namespace}}}{part.tag}" if namespace else part.tag
    return element


def _meaning(element: Element) -> Any:
    """What elements have in common that mean the same: no order, no namespace, no indentation."""
    children = sorted((_meaning(child) for child in element), key=repr)
    text = "" if children else element.text or ""
    return (_name(element), text, sorted(element.attrib.items()), children)


def _namespace(element: Element) -> str:
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: Element, name: str) -> Element | None:
    return next((child for child in element if _name(child) == name), None)


def _text(element: Element, name: str) -> str | None:
    child = _child(element, name)
    return None if child is None else (child.text or "")
