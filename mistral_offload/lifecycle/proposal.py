"""A proposal for a bucket: a plan that can be applied, or a policy to apply by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.azure import AzureLifecycle
from mistral_offload.lifecycle.bucket_locations import BucketLocation
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule


@dataclass(frozen=True, slots=True)
class ManualPolicy:
    """A policy that has to be applied by hand.

    Attributes:
        document: the policy, as JSON members.
        show_command: command that prints the present policy, which ``apply_command`` replaces.
        apply_command: command that sets the policy in the file it names.
    """

    document: dict[str, Any]
    show_command: str
    apply_command: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan for one bucket, or a note with the reason why there is none.

    Attributes:
        location: the bucket, and the prefixes of our keys.
        days: age in days at which blobs are to be removed.
        plan: the changes that `apply` writes; None if the store's credentials cannot set rules.
        policy: the policy to apply by hand instead, if there is one.
        note: the reason why there is no plan.
    """

    location: BucketLocation
    days: int
    plan: Plan | None = None
    policy: ManualPolicy | None = None
    note: str | None = None

    @property
    def changes(self) -> bool | None:
        """True if rules have to change; None if that is not known."""
        return None if self.plan is None else self.plan.changes

    @property
    def rules(self) -> tuple[ExpiryRule, ...]:
        """The rules once the plan, or the policy, is applied; none if there is neither."""
        if self.plan is not None:
            return tuple(self.plan.after.rules)
        if self.policy is None:
            return ()
        return tuple(ExpiryRule(prefix, self.days) for prefix in self.location.prefixes)

    def apply(self) -> None:
        """Write the plan, if there is one; blocks.

        Raises:
            StorageError: see `BucketLifecycle.apply`.
        """
        if self.plan is not None:
            open_lifecycle(self.location.config).apply(self.plan)


def propose(location: BucketLocation, days: int, *, retention_days: int) -> Proposal:
    """Propose how blobs in a bucket come to be removed at an age of ``days``; blocks.

    Raises:
        StorageError: the present rules could not be read; see the subclasses.
    """
    lifecycle = open_lifecycle(location.config)
    try:
        plan = lifecycle.plan(location.prefixes, days, retention_days=retention_days)
    except LifecycleUnsupportedError as error:
        policy = None
        if isinstance(lifecycle, AzureLifecycle):
            policy = ManualPolicy(lifecycle.policy(location.prefixes, days), *lifecycle.commands())
        return Proposal(location, days, policy=policy, note=str(error))
    return Proposal(location, days, plan)
