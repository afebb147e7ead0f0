"""Counts for a server's metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from threading import Lock


class Tally:
    """Sums by name and labels. Thread-safe.

    Names are "tiles" (layer, zoom, status), "blocks" (layer, result), "seconds" (stage), "clients" (result).
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[str, dict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))

    def add(self, name: str, *labels: str, by: float = 1) -> None:
        """Adds to a sum."""
        with self._lock:
            self._sums[name][labels] += by

    def get(self, name: str, *labels: str) -> float:
        """A sum; 0 where nothing was added."""
        return self.sums(name).get(labels, 0.0)

    def sums(self, name: str) -> Mapping[tuple[str, ...], float]:
        """All sums of a name, by their labels."""
        with self._lock:
            return dict(self._sums[name]) if name in self._sums else {}
