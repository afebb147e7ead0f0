"""What a run will cost, from a decimated look at the scene and a few blocks really rendered."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geo2map.api import tile_set
from geo2map.engine import Engine
from geo2map.grid import TILE_SIZE
from geo2map.grid.block import Block
from geo2map.outputs import open_sink
from geo2map.plan import Plan
from geo2map.render.coverage import Cover, tile_cover
from geo2map.render.pipeline import run
from geo2map.scene import Imagery
from geo2map.types import Mask

SAMPLE_BLOCKS = 6


@dataclass(frozen=True)
class Estimate:
    """What a run will take and leave behind.

    Attributes:
        tiles: to be written, by zoom.
        blocks: to be translated.
        bytes: of the finished output.
        memory: most bytes of main memory in use (None where the system does not tell).
        seconds: wall-clock without loading the model.
    """

    tiles: dict[int, int]
    blocks: int
    bytes: int
    memory: int | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        zooms = ", ".join(f"z{zoom}: {count}" for zoom, count in sorted(self.tiles.items(), reverse=True))
        memory = "" if self.memory is None else f", {self.memory / 2**20:.0f} MiB of memory"
        return (
            f"{sum(self.tiles.values())} tiles ({zooms}), {self.blocks} blocks to translate\n"
            f"about {self.bytes / 2**20:.1f} MiB{memory}, {self.seconds:.0f} s"
        )


def estimate(plan: Plan, scene: Imagery, engine: Engine, suffix: str = "") -> Estimate:
    """Counts tiles and blocks with data, renders `SAMPLE_BLOCKS` of them for real and scales up.

    Args:
        suffix: of the output, "" for a tile folder, ".tif" for a GeoTIFF.
    """
    cover = tile_cover(plan, scene)
    tiles = _tiles_by_zoom(plan, cover > 0)
    blocks = [block for block in plan.blocks() if _covered(plan, cover, block)]
    if not blocks:
        return Estimate(tiles, 0, 0, _peak_memory(), 0.0)
    sample = blocks[:: -(-len(blocks) // SAMPLE_BLOCKS)]
    seconds, size = _render_sample(plan, scene, engine, sample, suffix)
    cost = sum(_pixels(block) for block in blocks) / sum(_pixels(block) for block in sample)
    growth = cover.sum() / sum(_covered(plan, cover, block) for block in sample)
    return Estimate(tiles, len(blocks), round(size * growth), _peak_memory(), seconds * cost)


def _tiles_by_zoom(plan: Plan, valid: Mask) -> dict[int, int]:
    rows, columns = np.nonzero(valid)
    rows, columns = rows + plan.tiles.top, columns + plan.tiles.left
    counts = {}
    for zoom in range(plan.maxzoom, plan.minzoom - 1, -1):
        counts[zoom] = len(set(zip(rows.tolist(), (columns % 2**zoom).tolist(), strict=True)))
        rows, columns = rows // 2, columns // 2
    return counts


def _covered(plan: Plan, cover: Cover, block: Block) -> float:
    """How many tiles' worth of data a block has."""
    top, left = block.y - plan.tiles.top, block.x - plan.tiles.left
    return float(cover[top : top + block.rows, left : left + block.columns].sum())


def _pixels(block: Block) -> int:
    return block.window.width * block.window.height


def _render_sample(plan: Plan, scene: Imagery, engine: Engine, sample: list[Block], suffix: str) -> tuple[float, int]:
    """Seconds and bytes of a small run like the real one."""
    side = sample[0].margin * 2 + TILE_SIZE
    engine.translate(np.zeros((1, side, side, 3), dtype=np.uint8))  # the first call allocates: not the run's pace
    output = replace(tile_set(plan), minzoom=max(plan.minzoom, plan.maxzoom - 2))
    with tempfile.TemporaryDirectory(prefix="geo2map-") as folder:
        out = Path(folder) / f"sample{suffix}"
        started = time.perf_counter()
        with scene.at(plan.maxzoom, plan.rendition, plan.resampling) as source:
            run(plan, source, engine, open_sink(out, output), blocks=sample, batch=engine.batch)
        seconds = time.perf_counter() - started
        files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]
        return seconds, sum(path.stat().st_size for path in files)


def _peak_memory() -> int | None:
    """Most bytes this process ever used. Memory depends on block and batch, not on the scene, so the sample's
    peak is the run's."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
