"""A server's metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from geo2map.live.livemap import LiveMap
from geo2map.live.tally import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTERS = {
    "tiles": ("geo2map_tiles", "Answers to requests for tiles.", ("layer", "zoom", "status")),
    "blocks": ("geo2map_blocks", "Results of requested blocks.", ("layer", "result")),
    "seconds": ("geo2map_stage_seconds", "Time spent, by stage.", ("stage",)),
    "clients": ("geo2map_clients", "Clients that were refused, or left early.", ("result",)),
}


class TallyCollector(Collector):
    """Collects a tally, and the gauges of a live map."""

    def __init__(self, tally: Tally, live: LiveMap | None) -> None:
        self._tally, self._live = tally, live

    def collect(self) -> Iterator[Metric]:
        """The current metrics."""
        for key, (name, text, labels) in _COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=labels)
            for values, total in sorted(self._tally.sums(key).items()):
                family.add_metric(values, total)
            yield family
        if self._live is not None:
            queue = self._live.queue
            yield GaugeMetricFamily("geo2map_queue_blocks", "Blocks that wait to be read.", queue.count("queued"))
            yield GaugeMetricFamily("geo2map_waiting_clients", "Requests that wait for a block.", queue.waiting)
            yield GaugeMetricFamily("geo2map_cache_bytes", "Bytes of finished tiles in memory.", self._live.cache.held)


def metrics_text(tally: Tally, live: LiveMap | None = None) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(TallyCollector(tally, live))
    return generate_latest(registry)
