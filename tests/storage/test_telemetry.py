"""Telemetry data, recorded with stub OpenTelemetry instruments."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import BlobNotFoundError, ReferenceRefusedError, StorageUnavailableError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import telemetry
from mistral_offload.storage.memory import MemoryStore
from tests.storage.clock import Clock

SECRET = b'"do not tell"'


class Recorder:
    """A meter and a tracer."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.spans: list[tuple[str, dict[str, Any]]] = []
        self.seen: list[Any] = []

    def create_counter(self, name: str, unit: str) -> Any:
        return Instrument(self, name)

    create_histogram = create_counter

    @contextmanager
    def start_as_current_span(self, name: str, attributes: Any, **_: Any) -> Iterator[Any]:
        self.spans.append((name, dict(attributes)))
        yield self

    def set_attribute(self, name: str, value: Any) -> None:
        self.spans[-1][1][name] = value


class Instrument:
    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def add(self, amount: int, attributes: Any = None) -> None:
        self._recorder.totals[self._name] += amount
        self._recorder.seen.append(attributes)

    def record(self, amount: float, attributes: Any = None) -> None:
        assert amount >= 0
        self.add(1, attributes)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder: Any = Recorder()
    instruments = telemetry.Instruments(recorder, recorder)
    monkeypatch.setattr(telemetry, "_instruments", lambda: instruments)
    return recorder


def test_everything_is_counted_and_nothing_told(recorder: Recorder, clock: Clock) -> None:
    store = clock.drive(MemoryStore(retry_seconds=2))
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="b"))
    encoder = PayloadEncoder(config, store=store)
    store.fail("put", StorageUnavailableError, call=1)
    encoded = encoder.encode(SECRET, PayloadContext("n", "e"), offload=True)
    other = PayloadEncoder(config, store=store)
    assert other.decode(encoded) == SECRET
    assert other.decode(encoded) == SECRET
    size = len(SECRET)
    assert recorder.totals == {
        "mistral_offload.offloaded.blobs": 1,
        "mistral_offload.offloaded.bytes": size,
        "mistral_offload.fetched.blobs": 1,
        "mistral_offload.fetched.bytes": size,
        "mistral_offload.cached.blobs": 1,
        "mistral_offload.cached.bytes": size,
        "mistral_offload.retries": 1,
        "mistral_offload.store.duration": 2,
    }
    names = [name for name, _ in recorder.spans]
    assert names == ["mistral_offload.store.put", "mistral_offload.store.get"]
    assert "do not tell" not in repr((recorder.spans, recorder.seen))


def test_failures_and_refusals(recorder: Recorder) -> None:
    store = MemoryStore()
    with pytest.raises(BlobNotFoundError):
        store.get("k")
    assert recorder.spans[-1][1]["error.type"] == "BlobNotFoundError"
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="b"))
    encoder = PayloadEncoder(config, store=store)
    offloaded = (EncodingOption.OFFLOADED,)
    foreign = b'{"key":"temporal-payload/n/e/sha256:%s"}' % (b"0" * 64)
    for reference, namespace in ((b'{"key":"etc/passwd"}', None), (foreign, "mine")):
        with pytest.raises(ReferenceRefusedError):
            encoder.decode(EncodedPayload(reference, offloaded), namespace=namespace)
    assert recorder.totals["mistral_offload.refusals"] == 2


def test_a_real_provider_gets_it() -> None:
    program = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from mistral_offload.storage import MemoryStore, telemetry
MemoryStore().put("k", b"before there is a provider")
reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader]))
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))

store = MemoryStore()
store.put("k", b"secret")
assert store.get("k") == b"secret"
with telemetry.unrecorded():
    store.get("k")
print(*[span.name for span in exporter.get_finished_spans()])
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
for metric in scope.metrics:
    print(metric.name, metric.unit, sum(point.count for point in metric.data.data_points))
"""
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert finished.stderr == ""
    assert finished.stdout.splitlines() == [
        "mistral_offload.store.put mistral_offload.store.get",
        "mistral_offload.store.duration s 2",
    ]
