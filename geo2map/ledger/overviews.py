"""The overviews above the blocks, built from stored tiles at the end of a run."""

from __future__ import annotations

from itertools import islice

from geo2map.ledger.layer_records import LayerRecords
from geo2map.ledger.overlay import OverlayStore
from geo2map.plan.job import Job
from geo2map.protocols import Progress, TileStore
from geo2map.tiles.layer import Layer
from geo2map.tiles.pyramid import build_parents

_AT_ONCE = 256


def build_overviews(
    job: Job,
    layer: Layer,
    store: TileStore,
    records: LayerRecords,
    lowest_complete_zoom: int | None = None,
    *,
    down_to: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Build a layer's overviews above the blocks, and record them.

    Args:
        lowest_complete_zoom: lowest zoom whose tiles are complete; None is the lowest zoom that blocks hold.
        down_to: lowest zoom to build; None is the output's.

    Raises:
        TileSetError: a stored tile was damaged meanwhile.
        OutputError: one cannot be written.
    """
    plan, storage = job.plan, job.storage
    assert storage.minzoom is not None, "the storage of a job is resolved"
    zoom = plan.maxzoom - storage.levels(plan) if lowest_complete_zoom is None else lowest_complete_zoom
    children = store.changed(zoom) if isinstance(store, OverlayStore) else store.tiles(zoom)
    parents = build_parents(
        store, layer.codec, children, storage.minzoom if down_to is None else down_to, progress=progress
    )
    while some := dict(islice(parents, _AT_ONCE)):
        store.sync()
        records.record_parents(some)
