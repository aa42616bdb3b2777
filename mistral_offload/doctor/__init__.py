"""Diagnosis of an installation: settings, stores, platform, Temporal, machine and versions.

>>> async def main() -> None:                                                # doctest: +SKIP
...     async for finding in examine(WorkerSettings(), read_only=True):
...         if finding.outcome is Outcome.FAILED:
...             print(finding.id, finding.detail, finding.remedy)
"""

from mistral_offload.doctor.diagnosis import examine, examine_without_settings
from mistral_offload.doctor.findings import Finding, Outcome

__all__ = ["Finding", "Outcome", "examine", "examine_without_settings"]
