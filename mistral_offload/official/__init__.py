"""This package's engine inside the official SDK: its workers and its clients.

A client is configured by `configure`. The distribution ``mistral-offload-official`` puts the engine
into every official worker of its environment. The official packages are imported when these
functions are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_offload._lazy_names import lazy_names

if TYPE_CHECKING:
    from mistral_offload.official.client import configure, configure_async

__all__ = ["configure", "configure_async"]

__getattr__, __dir__ = lazy_names(__name__, {"client": ["configure", "configure_async"]})
