"""Which workflows exist, and which workers run them. In memory: workers register again."""

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
    """The id of a workflow; the same in every run of the platform."""
    return str(uuid.uuid5(_IDS, f"workflow/{name}"))


@dataclass
class Registration:
    """One workflow as one deployment runs it."""

    spec: WorkflowSpec
    deployment_name: str | None
    task_queue: str
    seen: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """The same for every worker of the deployment, and in every run of the platform."""
        place = f"{self.deployment_name or ''}/{self.task_queue}/{self.spec.name}"
        return str(uuid.uuid5(_IDS, f"registration/{place}"))

    @property
    def workflow_id(self) -> str:
        """The id of the workflow, whoever runs it."""
        return workflow_id(self.spec.name)

    @property
    def display_name(self) -> str:
        """What to show to people."""
        return self.spec.display_name or self.spec.name

    @property
    def active(self) -> bool:
        """Whether a worker of it has been heard of lately."""
        return time.monotonic() - self.seen < _ACTIVE_SECONDS


class Registry:
    """Everything workers have registered since the platform started."""

    def __init__(self) -> None:
        self._registrations: dict[str, Registration] = {}
        self._workers: set[tuple[str | None, str | None]] = set()

    def register(self, body: RegisterBody) -> list[Registration]:
        """Take in a worker's workflows; a later registration of the same one replaces it."""
        self._workers.add((body.deployment_name, body.worker_name))
        registered: list[Registration] = []
        for spec in body.definitions:
            queue = spec.task_queue or body.deployment_name or DEFAULT_TASK_QUEUE
            registration = Registration(spec, body.deployment_name, queue)
            self._registrations.pop(registration.id, None)  # so that it becomes the latest
            self._registrations[registration.id] = registration
            registered.append(registration)
        return registered

    def heartbeat(self, body: HeartbeatBody) -> bool:
        """Note that a worker lives; False when it has to register again."""
        ids = [ref.workflow_registration_id for ref in body.workflow_registration_refs]
        for known in filter(None, map(self._registrations.get, ids)):
            known.seen = time.monotonic()
        worker = (body.deployment_name, body.worker_name)
        return worker in self._workers and all(id in self._registrations for id in ids)

    def find(
        self, identifier: str, *, deployment_name: str | None = None, task_queue: str | None = None
    ) -> Registration:
        """The registration to run a workflow with: a live one before others, then the latest.

        Args:
            identifier: name or id of the workflow.
            deployment_name: only as this deployment runs it.
            task_queue: only from this task queue.

        Raises:
            Refusal: there is none.
        """
        named = [r for r in self._latest_first() if identifier in (r.spec.name, r.workflow_id)]
        fitting = [
            registration
            for registration in named
            if deployment_name in (None, registration.deployment_name)
            and task_queue in (None, registration.task_queue)
        ]
        if fitting:
            return next((r for r in fitting if r.active), fitting[0])
        if named:
            raise Refusal(
                404,
                f"workflow {identifier!r} is registered, but not for "
                f"deployment_name={deployment_name!r}, task_queue={task_queue!r}",
            )
        raise Refusal(404, f"no workflow {identifier!r}: {self._known()}")

    def find_registration(self, registration_id: str) -> Registration:
        """A registration by its id.

        Raises:
            Refusal: there is none.
        """
        known = self._registrations.get(registration_id)
        if known is None:
            raise Refusal(404, f"no workflow registration {registration_id!r}")
        return known

    def workflows(self, deployment_names: Iterable[str] = ()) -> list[Registration]:
        """One registration for each workflow, by display name."""
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
        """The name of a workflow given by name or id; a name nobody knows stays as it is."""
        for registration in self._registrations.values():
            if registration.workflow_id == identifier:
                return registration.spec.name
        return identifier

    def task_queues_of(self, deployment_name: str) -> list[str]:
        """Where a deployment takes its work from: by default, a queue of the same name."""
        queues = {
            registration.task_queue
            for registration in self._registrations.values()
            if registration.deployment_name == deployment_name
        }
        return sorted(queues) or [deployment_name]

    def deployment_of(self, workflow_name: str, task_queue: str) -> str | None:
        """The deployment that runs a workflow from a task queue."""
        for registration in self._latest_first():
            if (registration.spec.name, registration.task_queue) == (workflow_name, task_queue):
                return registration.deployment_name
        return None

    def _latest_first(self) -> Iterator[Registration]:
        return reversed(self._registrations.values())

    def _known(self) -> str:
        names = sorted({r.spec.name for r in self._registrations.values()})
        if not names:
            return "no worker has registered any workflow yet"
        return f"registered are {', '.join(map(repr, names))}"
