"""What a server does, as Prometheus reads it."""

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
    "blocks": ("geo2map_blocks", "What became of blocks.", ("layer", "result")),
    "seconds": ("geo2map_stage_seconds", "Time spent, by stage.", ("stage",)),
    "clients": ("geo2map_clients", "Clients that were refused, or left before they were served.", ("result",)),
}


class TallyCollector(Collector):
    """Reads a tally, and the gauges of a live map, when it is asked."""

    def __init__(self, tally: Tally, live: LiveMap | None) -> None:
        self._tally, self._live = tally, live

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        for key, (name, text, labels) in _COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=labels)
            for values, total in sorted(self._tally.sums(key).items()):
                family.add_metric(values, total)
            yield family
        if self._live is not None:
            flights = self._live.flights
            yield GaugeMetricFamily("geo2map_queue_blocks", "Blocks that wait to be read.", flights.count("queued"))
            yield GaugeMetricFamily("geo2map_waiting_clients", "Requests that wait for a block.", flights.waiting)
            yield GaugeMetricFamily("geo2map_cache_bytes", "Bytes of finished tiles in memory.", self._live.cache.held)


def metrics_text(tally: Tally, live: LiveMap | None = None) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(TallyCollector(tally, live))
    return generate_latest(registry)
