"""Parsing the XML of a bucket's lifecycle, without losing foreign elements."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.lifecycle.s3_document import S3Document, id_for

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PREFIX = "temporal-payload/"
ENABLED = "<Status>Enabled</Status>"


def document(*rules: str, namespace: str = NAMESPACE) -> S3Document:
    entries = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    mark = f' xmlns="{namespace}"' if namespace else ""
    text = f"<LifecycleConfiguration{mark}>{entries}</LifecycleConfiguration>"
    return S3Document(text.encode())


def after(days: int) -> str:
    return f"<Expiration><Days>{days}</Days></Expiration>"


def rules_in(xml: bytes) -> list[str]:
    root = ElementTree.fromstring(xml)
    rules = (ElementTree.tostring(rule, encoding="unicode") for rule in root)
    return [ElementTree.canonicalize(rule.replace("ns0:", "")) for rule in rules]


@pytest.mark.parametrize(
    ("entry", "rules"),
    [
        (f"<ID>a</ID><Prefix>old/</Prefix>{ENABLED}{after(3)}", [ExpiryRule("old/", 3, "a")]),
        (f"<ID>a</ID><Filter/>{ENABLED}{after(3)}", [ExpiryRule("", 3, "a")]),
        (f"<Filter><Prefix>x</Prefix></Filter>{ENABLED}{after(3)}", [ExpiryRule("x", 3)]),
        (
            f"<Filter><Prefix/></Filter><Status>Disabled</Status>{after(3)}",
            [ExpiryRule("", 3, enabled=False)],
        ),
        (
            f"<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>{ENABLED}{after(3)}",
            [ExpiryRule("", 3, is_conditional=True)],
        ),
        (
            "<Filter><And><Prefix>x/</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></And>"
            f"</Filter>{ENABLED}{after(3)}",
            [ExpiryRule("x/", 3, is_conditional=True)],
        ),
        (
            f"<Filter><Prefix>x</Prefix><Moon>full</Moon></Filter>{ENABLED}{after(3)}",
            [ExpiryRule("x", 3, is_conditional=True)],
        ),
        (
            f"<Filter/>{ENABLED}<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>",
            [ExpiryRule("", 0, is_conditional=True)],
        ),
        (
            "<Filter/><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true"
            "</ExpiredObjectDeleteMarker></Expiration>",
            [],
        ),
        (f"<Filter/>{ENABLED}<Transition><Days>1</Days></Transition>", []),
        (
            f"<ID>{id_for(PREFIX)}</ID><Filter><Prefix>{PREFIX}</Prefix></Filter>{ENABLED}"
            f"{after(45)}",
            [ExpiryRule(PREFIX, 45, f"mistral-offload:{PREFIX}", is_ours=True)],
        ),
    ],
)
@pytest.mark.parametrize("namespace", [NAMESPACE, ""])
def test_what_is_read(entry: str, rules: list[ExpiryRule], namespace: str) -> None:
    assert list(document(entry, namespace=namespace).rules) == rules


def test_others_stay_with_members_nobody_knows() -> None:
    other = (
        f'<ID>tides</ID><Filter><Moon phase="full">  blue </Moon></Filter>{ENABLED}'
        "<Flood><Height>3</Height></Flood>"
    )
    before = document(other, f"<ID>b</ID><Filter/>{ENABLED}{after(400)}")
    once = before.with_expiry(PREFIX, 45)
    twice = once.with_expiry(PREFIX, 60)
    for changed in (once, twice):
        kept = rules_in(changed.to_xml())
        assert kept[:2] == rules_in(before.to_xml())
        assert len(kept) == 3
    assert [rule.days for rule in twice.rules] == [400, 60]


def test_ours_removes_what_nobody_reads() -> None:
    (rule,) = rules_in(S3Document().with_expiry(PREFIX, 45).to_xml())
    for text in (
        "Expiration><Days>45<",
        "NoncurrentDays>7<",
        "DaysAfterInitiation>1<",
        f"Filter><Prefix>{PREFIX}<",
    ):
        assert text in rule


def test_the_same_again_is_the_same_document() -> None:
    written = S3Document().with_expiry(PREFIX, 45)
    assert written.with_expiry(PREFIX, 45) is written
    assert written.with_expiry(PREFIX, 46) != written


def test_a_rule_of_ours_that_somebody_disabled_is_mended() -> None:
    written = S3Document().with_expiry(PREFIX, 45)
    disabled = S3Document(written.to_xml().replace(b"Enabled", b"Disabled"))
    assert disabled != written
    assert disabled.with_expiry(PREFIX, 45) == written


def test_servers_may_write_it_in_another_way() -> None:
    written = S3Document().with_expiry(PREFIX, 45)
    root = ElementTree.fromstring(written.to_xml())
    for part in root.iter():
        part.tag = part.tag.rpartition("}")[2]
        part[:] = reversed(part)
    ElementTree.indent(root)
    assert S3Document(ElementTree.tostring(root)) == written
    assert S3Document(ElementTree.tostring(root)).with_expiry(PREFIX, 45) == written


@pytest.mark.parametrize("namespace", [NAMESPACE, ""])
def test_a_prefix_where_the_other_rules_have_theirs(namespace: str) -> None:
    legacy = document(f"<Prefix>old/</Prefix>{ENABLED}{after(3)}", namespace=namespace)
    written = legacy.with_expiry(PREFIX, 45)
    assert b"Filter" not in written.to_xml()
    assert [(rule.prefix, rule.days) for rule in written.rules] == [("old/", 3), (PREFIX, 45)]
    assert (b"xmlns" in written.to_xml()) is bool(namespace)


def test_names_fit_whatever_the_prefix() -> None:
    assert id_for(PREFIX) == "mistral-offload:temporal-payload/"
    long = [f"{'x' * 1000}/{PREFIX}{name}/" for name in ("a", "b")]
    names = {id_for(prefix) for prefix in long}
    assert len(names) == 2
    assert all(len(name) <= 255 and name.startswith("mistral-offload:") for name in names)
    both = S3Document().with_expiry(long[0], 45).with_expiry(long[1], 46)
    assert [(rule.prefix, rule.days) for rule in both.rules] == list(
        zip(long, (45, 46), strict=True)
    )
    assert all(rule.is_ours for rule in both.rules)
