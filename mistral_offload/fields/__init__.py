"""Activity fields: models whose large fields travel by the store, one blob a field."""

from mistral_offload.fields.field import OffloadableField
from mistral_offload.fields.model import OffloadableModel

__all__ = ["OffloadableField", "OffloadableModel"]
