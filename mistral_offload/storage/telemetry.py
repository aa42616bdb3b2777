"""Counters, durations and spans through OpenTelemetry's API, where it is installed.

Without it, or without a provider that somebody set up, nothing happens. No attribute holds anything
of a payload: at most how large it is, and the key and container of its blob.

Below ``mistral_offload.``: counters ``{offloaded,fetched,cached}.{blobs,bytes}``, ``retries`` and
``refusals``; a histogram ``store.duration`` in seconds, retries included, by ``operation``,
``provider`` and ``error.type``; spans ``store.<operation>``.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

from mistral_offload._version import __version__

_NAME = "mistral_offload"

Moved = Literal["offloaded", "fetched", "cached"]


class Instruments:
    """What is measured, with one meter and one tracer."""

    def __init__(self, meter: Any, tracer: Any) -> None:
        self.tracer = tracer
        self.blobs = {
            moved: meter.create_counter(f"{_NAME}.{moved}.blobs", unit="{blob}")
            for moved in ("offloaded", "fetched", "cached")
        }
        self.sizes = {
            moved: meter.create_counter(f"{_NAME}.{moved}.bytes", unit="By") for moved in self.blobs
        }
        self.retries = meter.create_counter(f"{_NAME}.retries", unit="{request}")
        self.refusals = meter.create_counter(f"{_NAME}.refusals", unit="{reference}")
        self.seconds = meter.create_histogram(f"{_NAME}.store.duration", unit="s")


def count_blob(moved: Moved, size: int, provider: str) -> None:
    """A blob was written, read, or found in the cache."""
    instruments = _instruments()
    if instruments is not None:
        attributes = {"provider": provider}
        instruments.blobs[moved].add(1, attributes)
        instruments.sizes[moved].add(size, attributes)


def count_retry(provider: str) -> None:
    """A request is about to be made again after a transient fault."""
    instruments = _instruments()
    if instruments is not None:
        instruments.retries.add(1, {"provider": provider})


def count_refusal() -> None:
    """A reference named what it may not name."""
    instruments = _instruments()
    if instruments is not None:
        instruments.refusals.add(1)


@contextmanager
def operation(name: str, provider: str, container: str, key: str | None) -> Generator[None]:
    """Measure one operation of a store, with all its attempts."""
    instruments = _instruments()
    if instruments is None:
        yield
        return
    attributes: dict[str, Any] = {"operation": name, "provider": provider}
    place = {"container": container, **({"key": key} if key is not None else {})}
    began = time.monotonic()
    with instruments.tracer.start_as_current_span(
        f"{_NAME}.store.{name}", attributes={**attributes, **place}, record_exception=False
    ) as span:
        try:
            yield
        except Exception as error:
            attributes["error.type"] = type(error).__name__
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            instruments.seconds.record(time.monotonic() - began, attributes)


@functools.cache
def _instruments() -> Instruments | None:
    try:  # by name, so that types can be checked where it is not installed
        metrics: Any = import_module("opentelemetry.metrics")
        trace: Any = import_module("opentelemetry.trace")
    except ImportError:
        return None
    return Instruments(metrics.get_meter(_NAME, __version__), trace.get_tracer(_NAME, __version__))
