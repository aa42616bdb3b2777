"""Decorated functions and classes outside a workflow, and refused decorations."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest

import mistral_offload.workflows as workflows
from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows import workflow
from mistral_offload.workflows.definitions import definition_of
from mistral_offload.workflows.registry import ActivityRegistry, by_name
from tests.workflows import documents, typed_uses


async def test_the_class_stays_usable_in_a_unit_test() -> None:
    assert await documents.Greeting().run("Ada") == "Hello, Ada!"
    result = await documents.Documents().run(documents.Document(name="n", text="a"))
    assert result.text == "A"
    inbox = documents.Inbox()
    await inbox.deliver("a", copies=2)
    assert inbox.count() == 2


async def test_an_activity_just_runs_outside_a_workflow() -> None:
    assert await documents.scale(documents.Size(1), factor=3) == documents.Size(3, 3)
    assert await documents.thread_name() == "MainThread"
    assert documents.thread_name.function() == "MainThread"
    with pytest.raises(TypeError, match="factors"):
        documents.scale(documents.Size(1), factors=3)  # type: ignore[call-arg]


async def test_the_typed_uses_work() -> None:
    await typed_uses.uses()


def test_an_activity_keeps_the_functions_face() -> None:
    shown: Any = documents.shout
    assert shown.__name__ == "shout"
    assert shown.__wrapped__ is documents.shout.function
    assert documents.shout.options.start_to_close_timeout == timedelta(minutes=5)
    policy = documents.shout.options.retry_policy
    assert policy is not None
    assert (policy.maximum_attempts, policy.backoff_coefficient) == (3, 2.0)
    assert documents.scale.options.local
    assert not documents.scale.with_options(local=False).options.local
    assert "documents.shout" in repr(documents.shout)


def test_activities_that_are_refused() -> None:
    def method(self: Any) -> None: ...

    def variadic(*items: int) -> None: ...

    for function in (method, variadic, int):
        with pytest.raises(ConfigurationError):
            workflows.activity(function)  # type: ignore[arg-type]


def test_the_registry_knows_a_place_once_and_a_name_once() -> None:
    registry = ActivityRegistry()
    registry.add(documents.shout)
    registry.add(documents.shout.with_options(local=True))
    assert len(registry.all()) == 1

    def shout() -> None: ...

    other = workflows.Activity[[], None](shout, name=None, options=documents.shout.options)
    registry.add(other)
    with pytest.raises(ConfigurationError, match="two activities are named 'shout'"):
        by_name(registry.all())


def test_definition() -> None:
    definition = definition_of(documents.Inbox)
    assert definition.name == "inbox"
    assert definition.execution_timeout == timedelta(hours=1)
    assert definition.enforce_determinism
    assert [handler.name for handler in definition.signals] == ["close-it", "deliver"]
    assert {handler.name: handler.description for handler in definition.queries} == {
        "count": None,
        "has": "Whether a letter is there.",
    }
    assert definition_of(documents.Silent).description == "Does nothing, without arguments."


def test_a_subclass_is_a_workflow_of_its_own() -> None:
    @workflow.define(name="sub", enforce_determinism=False)
    class Sub(documents.Greeting):
        @workflow.query
        def extra(self) -> int:
            return 1

    assert definition_of(Sub).name == "sub"
    assert definition_of(documents.Greeting).name == "greeting"
    assert [handler.name for handler in definition_of(Sub).queries] == ["extra"]


def test_classes_that_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="and has none"):

        @workflow.define
        class Headless: ...

    with pytest.raises(ConfigurationError, match="a, b"):

        @workflow.define
        class TwoHeads:
            @workflow.entrypoint
            async def a(self) -> None: ...

            @workflow.entrypoint
            async def b(self) -> None: ...

    with pytest.raises(ConfigurationError, match=r"signal 's'.*validates the update 'u'"):

        @workflow.define
        class Muddle:
            @workflow.entrypoint
            async def run(self) -> None: ...

            @workflow.signal(name="s")
            def one(self) -> None: ...

            @workflow.signal(name="s")
            def two(self) -> None: ...

            @workflow.validator("u")
            def check(self) -> None: ...

    with pytest.raises(ConfigurationError, match="must be async def"):
        workflow.entrypoint(lambda self: None)  # type: ignore[arg-type, return-value]

    async def asynchronous(self: Any) -> None: ...

    with pytest.raises(ConfigurationError, match="must not be async def"):
        workflow.query(asynchronous)
    with pytest.raises(ConfigurationError, match="is not a workflow"):
        definition_of(dict)


def test_public_names() -> None:
    for module in (workflows, workflow):
        for name in module.__all__:
            assert hasattr(module, name), name
        public = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and not inspect.ismodule(value)
        }
        assert public - set(module.__all__) <= {"MissingExtraError", "find_spec"}
