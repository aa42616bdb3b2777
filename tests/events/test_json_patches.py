"""Changes between two states, as the official worker spells them, and the tree they lead to."""

from __future__ import annotations

import json
import math
import random
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.events.json_patches import Patch, find_patches, to_tree, write_json


def patches(old: Any, new: Any) -> list[tuple[str, str, Any]]:
    return [(each.op, each.path, each.value) for each in find_patches(old, new)]


def apply(tree: Any, patch: Patch) -> Any:
    """Return a tree with a patch applied; RFC 6902, and ``append``."""
    if not patch.path:
        return tree + patch.value if patch.op == "append" else patch.value
    *parents, last = (
        name.replace("~1", "/").replace("~0", "~") for name in patch.path[1:].split("/")
    )
    container = tree
    for name in parents:
        container = container[int(name) if isinstance(container, list) else name]
    key: Any = int(last) if isinstance(container, list) else last
    if patch.op == "remove":
        del container[key]
    elif patch.op == "append":
        container[key] += patch.value
    elif patch.op == "add" and isinstance(container, list):
        container.insert(key, patch.value)
    else:
        container[key] = patch.value
    return tree


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"l": [1, 2, 3]}, {"l": [1, 2, 3, 4]}, [("add", "/l/3", 4)]),
        (
            {"l": [1, 2, 3, 4]},
            {"l": [1, 9]},
            [("replace", "/l/1", 9), ("remove", "/l/2", None), ("remove", "/l/2", None)],
        ),
        ({"l": [1, 9]}, {"l": []}, [("remove", "/l/0", None), ("remove", "/l/0", None)]),
        ({"l": [{"k": 1}, {"k": 2}]}, {"l": [{"k": 2}]}, [("remove", "/l/0", None)]),
        (
            {"d": {"p": 1, "q": "tex"}},
            {"d": {"q": "text"}},
            [("remove", "/d/p", None), ("append", "/d/q", "t")],
        ),
        ({"s": "abc"}, {"s": "abc"}, []),
        ({"s": "abc"}, {"s": ""}, [("replace", "/s", "")]),
        ({"s": ""}, {"s": "a"}, [("append", "/s", "a")]),
        ({"s": ""}, {"s": None}, [("replace", "/s", None)]),
        ({"x": 1}, {"new/k~y": 1, "x": 1.0}, [("add", "/new~1k~0y", 1), ("replace", "/x", 1.0)]),
        ({"x": 1}, {"x": True}, [("replace", "/x", True)]),
        ({"x": 5}, [1, 2], [("replace", "", [1, 2])]),
        ("hello", "hello w", [("append", "", " w")]),
        ({"b": {"x": 1}}, {"b": 7}, [("replace", "/b", 7)]),
    ],
)
def test_the_spelling_is_that_of_the_official_worker(old: Any, new: Any, expected: Any) -> None:
    assert patches(old, new) == expected


def random_tree(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.randrange(7 if depth else 5)
    if kind == 5:
        names = chance.sample(["a", "b/c", "d~e", "", "0"], chance.randrange(5))
        return {name: random_tree(chance, depth - 1) for name in names}
    if kind == 6:
        return [random_tree(chance, depth - 1) for _ in range(chance.randrange(5))]
    return [None, True, chance.randrange(3), float(chance.randrange(2)), "ab" * kind][kind]


def test_patches_lead_from_one_tree_to_the_other() -> None:
    chance = random.Random(20)
    for _ in range(2_000):
        old, new = random_tree(chance), random_tree(chance)
        tree = deepcopy(old)
        for patch in find_patches(old, new):
            members = {"path": patch.path, "value": patch.value, "op": patch.op}
            assert json.loads(patch.to_json()) == members
            tree = apply(tree, patch)
        assert json.dumps(tree, sort_keys=True) == json.dumps(new, sort_keys=True)


def test_fields_that_partial_encryption_encrypts_are_marked() -> None:
    secret = {"field_type": "__encrypted_str__", "data": "s1"}
    old = {"open": "o", "secret": secret, "in": {"deep": [secret]}}
    new = deepcopy(old)
    new["open"], new["secret"]["data"] = "o2", "s2"
    new["in"] = {"deep": [secret, {"of": secret}]}
    marked = {each.path: each.is_marked for each in find_patches(old, new)}
    assert marked == {"/open": False, "/secret/data": True, "/in/deep/1": True}


class Document(BaseModel):
    text: str = "t"
    aliased: str = Field("v", alias="aliasedName")


@dataclass
class Point:
    x: float


def test_states_of_any_kind_become_trees() -> None:
    assert to_tree(Document()) == {"text": "t", "aliased": "v"}
    assert to_tree({"p": Point(1.5), "s": (1, 2)}) == {"p": {"x": 1.5}, "s": [1, 2]}
    text = "x" * 1_000
    assert to_tree({"text": text})["text"] is text
    assert write_json([math.nan, math.inf]) == b"[null,null]"
    with pytest.raises(PayloadSerializationError, match="a"):
        to_tree({"a": object()})


def test_a_growing_text_costs_what_it_grows_by() -> None:
    """The old text is compared, which takes a fraction of the time of writing it."""
    old = {"text": "x" * 40_000_000}
    new = {"text": old["text"] + "y"}
    begun = time.process_time()
    for _ in range(5):
        assert patches(old, new) == [("append", "/text", "y")]
    compared = time.process_time() - begun
    begun = time.process_time()
    write_json(new)
    assert compared / 5 < 3 * (time.process_time() - begun)
