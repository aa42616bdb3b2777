"""Counters, durations and spans through OpenTelemetry's API, if it is installed.

Without it, or without a configured OpenTelemetry provider, nothing is recorded. No attribute holds
any part of a payload: at most its size, and the key and container of its blob.

Below ``mistral_offload.``: counters ``{offloaded,fetched,cached}.{blobs,bytes}``, ``retries`` and
``refusals``, and of a worker's reports ``events.{reported,dropped,stored}``; a histogram
``store.duration`` in seconds, retries included, by ``operation``, ``provider`` and ``error.type``;
spans ``store.<operation>``.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Literal

from mistral_offload._version import __version__

_NAME = "mistral_offload"

_unrecorded: ContextVar[bool] = ContextVar("unrecorded", default=False)

BlobEvent = Literal["offloaded", "fetched", "cached"]
ReportFate = Literal["reported", "dropped", "stored"]


class Instruments:
    """The instruments of this package, created from one meter and one tracer.

    Args:
        meter: creates the counters and the histogram.
        tracer: starts the spans.
        is_traced: returns False as long as spans go nowhere; they are not started then.
    """

    def __init__(
        self, meter: Any, tracer: Any, is_traced: Callable[[], bool] = lambda: True
    ) -> None:
        self.tracer = tracer
        self.is_traced = is_traced
        self.blobs = {
            event: meter.create_counter(f"{_NAME}.{event}.blobs", unit="{blob}")
            for event in ("offloaded", "fetched", "cached")
        }
        self.sizes = {
            event: meter.create_counter(f"{_NAME}.{event}.bytes", unit="By") for event in self.blobs
        }
        self.retries = meter.create_counter(f"{_NAME}.retries", unit="{request}")
        self.refusals = meter.create_counter(f"{_NAME}.refusals", unit="{reference}")
        self.reports = {
            fate: meter.create_counter(f"{_NAME}.events.{fate}", unit="{event}")
            for fate in ("reported", "dropped", "stored")
        }
        self.seconds = meter.create_histogram(f"{_NAME}.store.duration", unit="s")


def count_blob(event: BlobEvent, size: int, provider: str) -> None:
    """Count a blob that was written, read, or found in the cache; ``size`` is in bytes."""
    instruments = _instruments()
    if instruments is not None:
        attributes = {"provider": provider}
        instruments.blobs[event].add(1, attributes)
        instruments.sizes[event].add(size, attributes)


def count_retry(provider: str) -> None:
    """Count a request that is retried after a transient fault."""
    instruments = _instruments()
    if instruments is not None:
        instruments.retries.add(1, {"provider": provider})


def count_refusal() -> None:
    """Count a reference that was refused because of the key it names."""
    instruments = _instruments()
    if instruments is not None:
        instruments.refusals.add(1)


def count_reports(fate: ReportFate, number: int, reason: str | None = None) -> None:
    """Count events that the platform accepted, that were dropped, or whose value was stored.

    Args:
        fate: what became of them.
        number: the number of events.
        reason: why they were dropped.
    """
    instruments = _instruments()
    if instruments is not None and number:
        instruments.reports[fate].add(number, {"reason": reason} if reason else None)


@contextmanager
def unrecorded() -> Generator[None]:
    """Record no operation of the block: for checks, whose misses are no errors."""
    token = _unrecorded.set(True)
    try:
        yield
    finally:
        _unrecorded.reset(token)


@contextmanager
def operation(name: str, provider: str, container: str, key: str | None) -> Generator[None]:
    """Record the span and duration of one store operation, retries included."""
    instruments = _instruments()
    if instruments is None or _unrecorded.get():
        yield
        return
    attributes: dict[str, Any] = {"operation": name, "provider": provider}
    location = {"container": container, **({"key": key} if key is not None else {})}
    started = time.monotonic()
    try:
        if instruments.is_traced():
            with _span(instruments, name, {**attributes, **location}):
                yield
        else:
            yield
    except Exception as error:
        attributes["error.type"] = type(error).__name__
        raise
    finally:
        instruments.seconds.record(time.monotonic() - started, attributes)


@contextmanager
def _span(instruments: Instruments, name: str, attributes: dict[str, Any]) -> Generator[None]:
    with instruments.tracer.start_as_current_span(
        f"{_NAME}.store.{name}", attributes=attributes, record_exception=False
    ) as span:
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            raise


@functools.cache
def _instruments() -> Instruments | None:
    try:  # by name, so that type checking works where it is not installed
        metrics: Any = import_module("opentelemetry.metrics")
        trace: Any = import_module("opentelemetry.trace")
    except ImportError:
        return None

    def is_traced() -> bool:
        return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

    return Instruments(
        metrics.get_meter(_NAME, __version__), trace.get_tracer(_NAME, __version__), is_traced
    )
