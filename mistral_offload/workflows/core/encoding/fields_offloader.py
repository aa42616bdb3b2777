"""Activity fields, under the import path of the official SDK."""

from mistral_offload.fields.field import OffloadableField
from mistral_offload.fields.model import OffloadableModel

__all__ = ["OffloadableField", "OffloadableModel"]
