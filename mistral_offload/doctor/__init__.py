"""What is wrong with an installation: its settings, stores, platform, Temporal and machine."""

from mistral_offload.doctor.diagnosis import examine, examine_without_settings
from mistral_offload.doctor.findings import Finding, Outcome

__all__ = ["Finding", "Outcome", "examine", "examine_without_settings"]
