"""Offloadable fields, under the official SDK's import path."""

from mistral_offload.fields.field import OffloadableField, OffloadableModel

__all__ = ["OffloadableField", "OffloadableModel"]
