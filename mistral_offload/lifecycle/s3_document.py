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
_NAMESPACE_MARK = "xmlns"

NONCURRENT_DAYS = 7
"""After how many days a versioned bucket drops what was deleted or has expired."""

ABORT_DAYS = 1
"""After how many days parts of an upload that was never finished are removed."""


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
        return tuple(rule for entry in self._root().iterfind("Rule") for rule in _rules_of(entry))

    def with_expiry(self, prefix: str, days: int) -> S3Document:
        """The document with our rule for a prefix, in the place of the one it may have had."""
        root = self._root()
        is_legacy = any(entry.find("Prefix") is not None for entry in root.iterfind("Rule"))
        ours = _written(prefix, days, is_legacy=is_legacy)
        for place, entry in enumerate(root):
            if entry.findtext("ID") == id_for(prefix):
                if _meaning(entry) == _meaning(ours):
                    return self
                root[place] = ours
                break
        else:
            root.append(ours)
        return S3Document(ElementTree.tostring(root, "utf-8"), minimum_size=self.minimum_size)

    def __eq__(self, other: object) -> bool:
        # Not the minimum size: a bucket that had no configuration has none, and then S3's default.
        return isinstance(other, S3Document) and _meaning(self._root()) == _meaning(other._root())

    def __hash__(self) -> int:
        return hash(repr(_meaning(self._root())))

    def _root(self) -> Element:
        """The configuration with plain names: its namespace is an attribute, as it was written."""
        root = ElementTree.fromstring(self._xml)  # noqa: S314 - see the import
        namespace, mark, _ = root.tag.rpartition("}")
        for part in root.iter():
            part.tag = part.tag.removeprefix(namespace + mark)
        if mark:
            root.set(_NAMESPACE_MARK, namespace[1:])
        return root


def id_for(prefix: str) -> str:
    """What our rule for a prefix is called; a prefix that is too long for S3 goes by its digest."""
    name = _OURS + prefix
    if len(name) <= _LONGEST_ID:
        return name
    return f"{_OURS}sha256:{hashlib.sha256(prefix.encode()).hexdigest()}"


def _rules_of(entry: Element) -> Iterator[ExpiryRule]:
    days, date = entry.findtext("Expiration/Days"), entry.findtext("Expiration/Date")
    if days is None and date is None:
        return  # it removes old versions or markers of what was deleted, or nothing
    filters = [*entry.iterfind("Filter/And"), *entry.iterfind("Filter")]
    prefixes = (part.findtext("Prefix") for part in (*filters, entry))
    conditions = {child.tag for part in filters for child in part} - {"Prefix", "And"}
    name = entry.findtext("ID")
    yield ExpiryRule(
        next((prefix for prefix in prefixes if prefix is not None), ""),
        int(days or 0),
        name=name,
        enabled=entry.findtext("Status") == "Enabled",
        is_conditional=days is None or bool(conditions),
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


def _meaning(element: Element) -> Any:
    """What elements have in common that mean the same: no order, no namespace, no indentation."""
    children = sorted((_meaning(child) for child in element), key=repr)
    text = "" if children else element.text or ""
    attributes = sorted(pair for pair in element.items() if pair[0] != _NAMESPACE_MARK)
    return (element.tag, text, attributes, children)
