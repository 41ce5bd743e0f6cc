"""/metrics in Prometheus' text form: the queue, the engine, the stages, the answers."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kleinbild.server.queue.queue import Queue
from kleinbild.server.queue.ticket import Ticket

SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FACES = {"jobs": "native", "v1": "openai", "sdapi": "a1111"}


class Metrics:
    """Counts what is told to it; reads the rest of `watch`ed queue when it is asked."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._pictures = Counter(
            "kleinbild_pictures",
            "Pictures asked for that ended, by state and, of failures, by code",
            ["state", "code"],
            registry=registry,
        )
        self._stages = Histogram(
            "kleinbild_stage_seconds",
            "Seconds that the page took for a stage of a picture",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._waits = Histogram(
            "kleinbild_queue_wait_seconds",
            "Seconds that a picture waited for its first turn",
            buckets=SECONDS,
            registry=registry,
        )
        self._answers = Counter(
            "kleinbild_http_answers",
            "Answers of the API by face and status",
            ["face", "status"],
            registry=registry,
        )

    def watch(self, queue: Queue) -> None:
        """Tell of `queue`, too."""
        self._registry.register(_QueueCollector(queue))

    def ended(self, ticket: Ticket) -> None:
        """Count an ended ticket."""
        self._pictures.labels(ticket.state.value, ticket.failure.code if ticket.failure else "").inc()
        if ticket.started is not None:
            self._waits.observe(max(0.0, ticket.started - ticket.created))
        for stage, seconds in (ticket.picture.seconds if ticket.picture else {}).items():
            self._stages.labels(stage).observe(seconds)

    def answered(self, path: str, status: int) -> None:
        """Count an answer of the API."""
        self._answers.labels(FACES.get(path.split("/")[1], "other"), str(status)).inc()

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)


class _QueueCollector(Collector):
    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        queue = self._queue
        yield GaugeMetricFamily("kleinbild_queue_length", "Pictures that wait", queue.waiting)
        yield GaugeMetricFamily(
            "kleinbild_pictures_in_hand", "Pictures in the making: 0 or 1", int(queue.in_hand is not None)
        )
        yield GaugeMetricFamily(
            "kleinbild_engine_up", "Whether the model is on the GPU", int(queue.engine is not None)
        )
        memory = queue.engine.memory if queue.engine is not None else None
        if memory is not None:
            yield GaugeMetricFamily(
                "kleinbild_gpu_memory_needed_bytes", "For pictures of the last new kind", memory.whole
            )
            yield GaugeMetricFamily(
                "kleinbild_gpu_memory_least_bytes", "The same, with the model's parts in turn", memory.least
            )
            yield GaugeMetricFamily("kleinbild_gpu_memory_budget_bytes", "What it may use", memory.budget)
        yield GaugeMetricFamily("kleinbild_results_bytes", "Bytes of results kept", queue.store.bytes)
        yield CounterMetricFamily(
            "kleinbild_engine_restarts", "Engines opened after the first", queue.restarts
        )
