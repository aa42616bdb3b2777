"""Offloadable fields, under the official SDK's import path."""

from mistral_offload.fields.field import OffloadableField
from mistral_offload.fields.model import OffloadableModel

__all__ = ["OffloadableField", "OffloadableModel"]
