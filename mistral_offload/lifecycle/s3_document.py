"""The lifecycle configuration of an S3 bucket, as XML.

It is kept as XML, not parsed by boto3, which would drop elements that it does not know, so that the
next write would remove them. Every rule has an ``ID``; ours begin with ``mistral-offload:``.

A rule has its prefix in a ``Filter`` or, in the original form, directly in the ``Rule``. One
configuration cannot mix both forms, so our rules use the one that is present.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree  # botocore has parsed the same text with it
from xml.etree.ElementTree import Element, SubElement

from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.rules import ExpiryRule

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_OURS = "mistral-offload:"
_LONGEST_ID = 255
_NAMESPACE_MARK = "xmlns"

NONCURRENT_DAYS = 7
"""Days after which a versioned bucket drops objects that were deleted or have expired."""

ABORT_DAYS = 1
"""Days after which the parts of an unfinished multipart upload are removed."""


class S3Document(LifecycleDocument):
    """Expiry rules of an S3 bucket.

    Args:
        xml: the configuration as it was read, or None if the bucket has none.
        minimum_size: the member ``TransitionDefaultMinimumObjectSize`` of the response, which S3
            keeps outside of the XML and which is written back; None if there was none.
    """

    def __init__(self, xml: bytes | None = None, *, minimum_size: str | None = None) -> None:
        self._xml = xml or f'<LifecycleConfiguration xmlns="{_NAMESPACE}"/>'.encode()
        self.minimum_size = minimum_size

    def to_xml(self) -> bytes:
        """Return the configuration to write."""
        return self._xml

    @property
    def rules(self) -> tuple[ExpiryRule, ...]:
        """Return the rules that remove current objects.

        A rule with a date instead of an age is returned with 0 days and as conditional.
        """
        return tuple(rule for entry in self._root().iterfind("Rule") for rule in _rules_of(entry))

    def with_expiry(self, prefix: str, days: int) -> S3Document:
        """Return a copy with our rule for a prefix, added or in place of the previous one."""
        root = self._root()
        is_legacy = any(entry.find("Prefix") is not None for entry in root.iterfind("Rule"))
        ours = _build_rule(prefix, days, is_legacy=is_legacy)
        for position, entry in enumerate(root):
            if entry.findtext("ID") == id_for(prefix):
                if _canonical(entry) == _canonical(ours):
                    return self
                root[position] = ours
                break
        else:
            root.append(ours)
        return S3Document(ElementTree.tostring(root, "utf-8"), minimum_size=self.minimum_size)

    def __eq__(self, other: object) -> bool:
        # Without the minimum size: it is None before a first write, and S3's default afterwards.
        return isinstance(other, S3Document) and _canonical(self._root()) == _canonical(
            other._root()
        )

    def __hash__(self) -> int:
        return hash(repr(_canonical(self._root())))

    def _root(self) -> Element:
        """Return the parsed XML with plain element names; the namespace becomes an attribute."""
        root = ElementTree.fromstring(self._xml)  # noqa: S314 - see the import
        namespace, mark, _ = root.tag.rpartition("}")
        for part in root.iter():
            part.tag = part.tag.removeprefix(namespace + mark)
        if mark:
            root.set(_NAMESPACE_MARK, namespace[1:])
        return root


def id_for(prefix: str) -> str:
    """Return the ID of our rule for a prefix; one too long for S3 contains a digest instead."""
    name = _OURS + prefix
    if len(name) <= _LONGEST_ID:
        return name
    return f"{_OURS}sha256:{hashlib.sha256(prefix.encode()).hexdigest()}"


def _rules_of(entry: Element) -> Iterator[ExpiryRule]:
    days, date = entry.findtext("Expiration/Days"), entry.findtext("Expiration/Date")
    if days is None and date is None:
        return  # it removes old versions or delete markers, or nothing
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


def _build_rule(prefix: str, days: int, *, is_legacy: bool) -> Element:
    """Return our rule: expiry, plus removal of old versions and of unfinished uploads.

    In a versioned bucket, expiry only hides an object; its versions have to expire as well.
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


def _canonical(element: Element) -> Any:
    """Return a value that is equal for elements that differ in order, namespace or whitespace."""
    children = sorted((_canonical(child) for child in element), key=repr)
    text = "" if children else element.text or ""
    attributes = sorted(pair for pair in element.items() if pair[0] != _NAMESPACE_MARK)
    return (element.tag, text, attributes, children)
