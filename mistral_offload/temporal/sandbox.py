"""What Temporal's workflow sandbox takes over from outside instead of importing again.

A sandboxed workflow's module is imported anew for every run. This package and the libraries below
it hold no workflow state, so they are handed through: starting a workflow stays cheap.
"""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

_HANDED_THROUGH = (
    "mistral_offload",
    "annotated_types",
    "anyio",
    "certifi",
    "dotenv",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "sniffio",
    "typing_extensions",
    "typing_inspection",
)


def sandbox_runner(*passthrough_modules: str) -> SandboxedWorkflowRunner:
    """Temporal's sandbox for workers of this package.

    Args:
        passthrough_modules: more modules to hand through, with all below them; only ones that hold
            no state of a workflow and whose use in workflow code is deterministic.
    """
    return SandboxedWorkflowRunner(
        restrictions=hand_through(SandboxRestrictions.default, *passthrough_modules)
    )


def hand_through(
    restrictions: SandboxRestrictions, *passthrough_modules: str
) -> SandboxRestrictions:
    """Restrictions as given, with what this package needs handed through."""
    return restrictions.with_passthrough_modules(*_HANDED_THROUGH, *passthrough_modules)
