"""What is proposed for a bucket: a plan that can be applied, or a policy that a person applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.azure import AzureLifecycle
from mistral_offload.lifecycle.bucket_locations import Place
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.factory import open_lifecycle


@dataclass(frozen=True, slots=True)
class ManualPolicy:
    """What a person has to apply.

    Attributes:
        document: the policy, as JSON members.
        show_command: prints the policy that is there, which the other command would replace.
        apply_command: sets the policy that is in the file it names.
    """

    document: dict[str, Any]
    show_command: str
    apply_command: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """For one bucket: a plan, or else a note that says why there is none.

    Attributes:
        place: the bucket, and what in it is ours.
        plan: what `apply` does; None where nothing can be done from here.
        policy: what a person can do instead, where there is something.
        note: why nothing can be done from here.
    """

    place: Place
    plan: Plan | None = None
    policy: ManualPolicy | None = None
    note: str | None = None

    @property
    def changes(self) -> bool | None:
        """Whether there is anything to do; None where that is not known."""
        return None if self.plan is None else self.plan.changes

    def apply(self) -> None:
        """Do what can be done from here; blocking.

        Raises:
            StorageError: see `BucketLifecycle.apply`.
        """
        if self.plan is not None:
            open_lifecycle(self.place.config).apply(self.plan)


def propose(place: Place, days: int, *, retention_days: int) -> Proposal:
    """What it takes for the blobs of a place to be removed after so many days; blocking.

    Raises:
        StorageError: the present rules cannot be read; see the classes below it.
    """
    lifecycle = open_lifecycle(place.config)
    try:
        plan = lifecycle.plan(place.prefixes, days, retention_days=retention_days)
    except LifecycleUnsupportedError as error:
        policy = None
        if isinstance(lifecycle, AzureLifecycle):
            policy = ManualPolicy(lifecycle.policy(place.prefixes, days), *lifecycle.commands())
        return Proposal(place, policy=policy, note=str(error))
    return Proposal(place, plan)
