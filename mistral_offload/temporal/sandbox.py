"""Modules that Temporal's workflow sandbox shares instead of importing them again.

A sandboxed workflow's module is imported anew for every run. This package and the libraries it uses
hold no workflow state, so they are passed through, which keeps the start of a workflow cheap.
"""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

_PASSED_THROUGH = (
    "mistral_offload",
    "annotated_types",
    "anyio",
    "certifi",
    "dotenv",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "orjson",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "sniffio",
    "typing_extensions",
    "typing_inspection",
)


def sandbox_runner(*passthrough_modules: str) -> SandboxedWorkflowRunner:
    """Make Temporal's workflow sandbox for workers of this package.

    Example:
        ``Worker(client, task_queue=…, workflows=[…], workflow_runner=sandbox_runner("models"))``

    Args:
        passthrough_modules: more modules to pass through, including their submodules. They must
            hold no workflow state, and workflow code must use them deterministically.
    """
    return SandboxedWorkflowRunner(
        restrictions=pass_through(SandboxRestrictions.default, *passthrough_modules)
    )


def passes_through(restrictions: SandboxRestrictions) -> bool:
    """Return True if the modules this package needs are passed through."""
    return restrictions.passthrough_modules >= set(_PASSED_THROUGH)


def pass_through(
    restrictions: SandboxRestrictions, *passthrough_modules: str
) -> SandboxRestrictions:
    """Return restrictions that also pass through the modules this package needs.

    Args:
        restrictions: the restrictions to extend.
        passthrough_modules: more modules to pass through.
    """
    return restrictions.with_passthrough_modules(*_PASSED_THROUGH, *passthrough_modules)
