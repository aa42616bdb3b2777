"""Activity fields: large fields of models are offloaded, one blob per field."""

from mistral_offload.fields.field import OffloadableField, OffloadableModel

__all__ = ["OffloadableField", "OffloadableModel"]
