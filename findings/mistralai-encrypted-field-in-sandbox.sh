#!/usr/bin/env bash
# A workflow module that imports EncryptedStrField as documented stops the official worker.
#
# Versions: mistralai-workflows 3.16.0, mistralai 2.10.1, temporalio 1.29.0. Seen with CPython 3.12, which it needs.
# One would guess: models of a workflow's input are defined beside the workflow, and the documented import,
#   "from mistralai.extra.workflows.encoding import EncryptedStrField", works there as it does elsewhere.
# What happens: the official sandbox passes mistralai.workflows through, and not mistralai.extra. It imports
#   that again for the workflow, with the whole client and httpx, which Temporal's sandbox refuses. The
#   worker ends at its start: "Cannot access urllib.request.Request.__mro_entries__ from inside a workflow".
#   Imported below "with workflow.unsafe.imports_passed_through()" it works.
# It matters because partial encryption, which needs this class, cannot be used as its page shows it.
# Output seen:
#   without it: valid
#   imported as documented: RestrictedWorkflowAccessError
#   imported passed through: valid
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    mistralai-workflows==3.16.0 mistralai==2.10.1 temporalio==1.29.0
cd "$folder"
OTEL_ENABLED=false "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import importlib
import logging
import pathlib
import sys

import structlog
from temporalio import workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
logging.disable()

from mistralai.workflows.core.sandbox import get_sandbox_restrictions

IMPORT = "from mistralai.extra.workflows.encoding import EncryptedStrField\n"
MODULES = {
    "without it": ("str", ""),
    "imported as documented": ("EncryptedStrField", IMPORT),
    "imported passed through": (
        "EncryptedStrField",
        f"with workflows.workflow.unsafe.imports_passed_through():\n    {IMPORT}",
    ),
}
EXPECTED = ["valid", "RestrictedWorkflowAccessError", "valid"]
PROGRAM = """
import mistralai.workflows as workflows
from pydantic import BaseModel
{statement}

class Person(BaseModel):
    ssn: {kind}


@workflows.workflow.define(name="{module}")
class Registration:
    @workflows.workflow.entrypoint
    async def run(self, person: Person) -> str:
        return ""
"""


async def validate(module):
    """Prepare a workflow as the official worker does at its start."""
    runner = SandboxedWorkflowRunner(restrictions=get_sandbox_restrictions())
    cls = importlib.import_module(module).Registration
    try:
        runner.prepare_workflow(workflow._Definition.must_from_class(cls))
    except Exception as error:
        return type(error).__name__
    return "valid"


sys.path.insert(0, ".")
seen = []
for number, (what, (kind, statement)) in enumerate(MODULES.items()):
    module = f"workflow_{number}"
    program = PROGRAM.format(statement=statement, kind=kind, module=module)
    pathlib.Path(f"{module}.py").write_text(program)
    seen.append(asyncio.run(validate(module)))
    print(f"{what}: {seen[-1]}")
sys.exit(0 if seen == EXPECTED else "the behaviour has changed")
PYTHON
