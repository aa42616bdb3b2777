"""The registered workflows and workers. Kept in memory: after a restart workers register again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mistral_offload.devserver.refusals import Refusal
from mistral_offload.devserver.request_bodies import HeartbeatBody, RegisterBody, WorkflowSpec

DEFAULT_TASK_QUEUE = "default"

_ACTIVE_SECONDS = 30.0
"""Three heartbeats of the official worker."""

_IDS = uuid.uuid5(uuid.NAMESPACE_DNS, "mistral-offload.local-platform")


def workflow_id(name: str) -> str:
    """Return the id of a workflow; it is the same in every run of the platform."""
    return str(uuid.uuid5(_IDS, f"workflow/{name}"))


@dataclass
class Registration:
    """One workflow of one deployment."""

    spec: WorkflowSpec
    deployment_name: str | None
    task_queue: str
    last_seen: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """Id, the same for every worker of the deployment, and in every run of the platform."""
        path = f"{self.deployment_name or ''}/{self.task_queue}/{self.spec.name}"
        return str(uuid.uuid5(_IDS, f"registration/{path}"))

    @property
    def workflow_id(self) -> str:
        """Id of the workflow, the same for all deployments."""
        return workflow_id(self.spec.name)

    @property
    def display_name(self) -> str:
        """Name to show to people."""
        return self.spec.display_name or self.spec.name

    @property
    def active(self) -> bool:
        """True if a worker has registered it or sent a heartbeat recently."""
        return time.monotonic() - self.last_seen < _ACTIVE_SECONDS


class Registry:
    """All registrations since the platform started."""

    def __init__(self) -> None:
        self._registrations: dict[str, Registration] = {}
        self._workers: set[tuple[str | None, str | None]] = set()
        self._late_queues: set[str] = set()

    def register(self, body: RegisterBody, *, reports_late: bool = False) -> list[Registration]:
        """Register a worker's workflows; registering one again replaces its registration.

        Args:
            body: the registration.
            reports_late: True if the worker reports what has happened already.
        """
        self._workers.add((body.deployment_name, body.worker_name))
        registered: list[Registration] = []
        for spec in body.definitions:
            queue = spec.task_queue or body.deployment_name or DEFAULT_TASK_QUEUE
            registration = Registration(spec, body.deployment_name, queue)
            self._registrations.pop(registration.id, None)  # so that it becomes the latest
            self._registrations[registration.id] = registration
            registered.append(registration)
            (self._late_queues.add if reports_late else self._late_queues.discard)(queue)
        return registered

    def reports_late(self, task_queue: str) -> bool:
        """Return True if the last worker of a task queue reports what has happened already."""
        return task_queue in self._late_queues

    def heartbeat(self, body: HeartbeatBody) -> bool:
        """Record a heartbeat; return False if the worker has to register again."""
        ids = [ref.workflow_registration_id for ref in body.workflow_registration_refs]
        for known in filter(None, map(self._registrations.get, ids)):
            known.last_seen = time.monotonic()
        worker = (body.deployment_name, body.worker_name)
        return worker in self._workers and all(id in self._registrations for id in ids)

    def find(
        self, identifier: str, *, deployment_name: str | None = None, task_queue: str | None = None
    ) -> Registration:
        """Find the registration to run a workflow with: an active one if any, else the latest.

        Args:
            identifier: name or id of the workflow.
            deployment_name: only of this deployment.
            task_queue: only on this task queue.

        Raises:
            Refusal: there is none (404).
        """
        named = [r for r in self._latest_first() if identifier in (r.spec.name, r.workflow_id)]
        matching = [
            registration
            for registration in named
            if deployment_name in (None, registration.deployment_name)
            and task_queue in (None, registration.task_queue)
        ]
        if matching:
            return next((r for r in matching if r.active), matching[0])
        if named:
            raise Refusal(
                404,
                f"workflow {identifier!r} is registered, but not for "
                f"deployment_name={deployment_name!r}, task_queue={task_queue!r}",
            )
        raise Refusal(404, f"no workflow {identifier!r}: {self._describe_known()}")

    def find_registration(self, registration_id: str) -> Registration:
        """Find a registration by its id.

        Raises:
            Refusal: there is none (404).
        """
        known = self._registrations.get(registration_id)
        if known is None:
            raise Refusal(404, f"no workflow registration {registration_id!r}")
        return known

    def workflows(self, deployment_names: Iterable[str] = ()) -> list[Registration]:
        """Return one registration for each workflow, sorted by display name."""
        wanted = set(deployment_names)
        by_name: dict[str, Registration] = {}
        for registration in self._latest_first():
            if wanted and registration.deployment_name not in wanted:
                continue
            chosen = by_name.setdefault(registration.spec.name, registration)
            if registration.active and not chosen.active:
                by_name[registration.spec.name] = registration
        return sorted(by_name.values(), key=lambda r: (r.display_name, r.spec.name))

    def name_of(self, identifier: str) -> str:
        """Return the name of a workflow given by name or id; an unknown name is returned as is."""
        for registration in self._registrations.values():
            if registration.workflow_id == identifier:
                return registration.spec.name
        return identifier

    def task_queues_of(self, deployment_name: str) -> list[str]:
        """Return the task queues of a deployment; by default, one of the same name."""
        queues = {
            registration.task_queue
            for registration in self._registrations.values()
            if registration.deployment_name == deployment_name
        }
        return sorted(queues) or [deployment_name]

    def deployment_of(self, workflow_name: str, task_queue: str) -> str | None:
        """Return the deployment that runs a workflow from a task queue; None if unknown."""
        for registration in self._latest_first():
            if (registration.spec.name, registration.task_queue) == (workflow_name, task_queue):
                return registration.deployment_name
        return None

    def _latest_first(self) -> Iterator[Registration]:
        return reversed(self._registrations.values())

    def _describe_known(self) -> str:
        names = sorted({r.spec.name for r in self._registrations.values()})
        if not names:
            return "no worker has registered any workflow yet"
        return f"the registered workflows are {', '.join(map(repr, names))}"
