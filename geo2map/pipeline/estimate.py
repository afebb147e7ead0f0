"""Cost of a run, estimated from a sample of the scene and a few rendered blocks."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from geo2map.grid import Block, BlockImage
from geo2map.pipeline.blocks import render_blocks
from geo2map.pipeline.coverage import Cover, tile_cover
from geo2map.pipeline.rates import peak_memory
from geo2map.plan.storage import Storage
from geo2map.plan.value import Plan
from geo2map.protocols import Source, Translator, TranslatorInput
from geo2map.scene import Imagery
from geo2map.types import Mask

SAMPLE_BLOCKS = 8
SAMPLE_SECONDS = 4.0
"""Shorter samples take more blocks, up to `MOST_BLOCKS`, against timing noise."""
MOST_BLOCKS = 32


class _Kind(Protocol):
    """The properties of a container that an estimate depends on."""

    @property
    def is_folder(self) -> bool: ...

    @property
    def pace(self) -> float: ...


@dataclass(frozen=True)
class Estimate:
    """Cost and result of a run.

    Attributes:
        tiles: number of tiles, by zoom.
        layers: names of further layers, each with as many tiles.
        blocks: number of blocks to translate.
        bytes: size of the finished output.
        spool: additional bytes on disk during the run.
        place: folder of the spool; "" is the output's disk.
        memory: peak of main memory in bytes, None if the system does not report it.
        seconds: wall-clock without loading the model.
    """

    tiles: dict[int, int]
    blocks: int
    bytes: int
    spool: int
    memory: int | None
    seconds: float
    layers: tuple[str, ...] = ()
    place: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        zooms = ", ".join(f"z{zoom}: {count}" for zoom, count in sorted(self.tiles.items(), reverse=True))
        memory = "" if self.memory is None else f", {self.memory / 2**20:.0f} MiB of memory"
        where = f"in {self.place}" if self.place else "more"
        spool = f", {self.spool / 2**20:.1f} MiB {where} during the run" if self.spool else ""
        layers = f", as many of {' and '.join(self.layers)}" if self.layers else ""
        return (
            f"{sum(self.tiles.values())} tiles ({zooms}){layers}, {self.blocks} blocks to translate\n"
            f"about {self.bytes / 2**20:.1f} MiB{spool}{memory}, {self.seconds:.0f} s"
        )


def estimate(plan: Plan, storage: Storage, scene: Imagery, translator: Translator, kind: _Kind) -> Estimate:
    """Count tiles and blocks with data, render a sample, and extrapolate.

    Args:
        storage: resolved.
        kind: container of the output.
    """
    cover = tile_cover(plan, scene)
    tiles = _tiles_by_zoom(plan, storage, cover > 0)
    blocks = [block for block in plan.blocks() if _covered(plan, cover, block)]
    if not blocks:
        return Estimate(tiles, 0, 0, 0, peak_memory(), 0.0)
    sample = _Sample(plan, storage, translator)
    with scene.at(plan.view) as source:
        sample.warm_up()
        count = SAMPLE_BLOCKS
        while sample.rendered < len(blocks):
            chosen = _spread(blocks, count)
            sample.run(source, chosen)
            if sample.seconds > SAMPLE_SECONDS or count >= MOST_BLOCKS:
                break
            count *= 2
    growth = cover.sum() / max(sum(_covered(plan, cover, block) for block in chosen), 1e-9)
    every, made = plan.maxzoom - (storage.minzoom or 0), storage.levels(plan)
    above = (1 - 4.0 ** -(every + 1)) / (1 - 4.0 ** -(made + 1))  # bytes scale with pixels: a quarter per zoom
    size = round(sample.bytes * growth * above)
    seconds = sample.seconds * sum(map(_pixels, blocks)) / sum(map(_pixels, chosen))
    if kind.is_folder:
        return Estimate(tiles, len(blocks), size, 0, peak_memory(), seconds, storage.layers)
    seconds += kind.pace * sum(tiles.values()) * (1 + len(storage.layers))
    return Estimate(tiles, len(blocks), size, size, peak_memory(), seconds, storage.layers)


class _Sample:
    """Blocks rendered to measure time and size."""

    def __init__(self, plan: Plan, storage: Storage, translator: Translator) -> None:
        self.plan, self.storage, self.translator = plan, storage, translator
        self.rendered, self.seconds, self.bytes = 0, 0.0, 0

    def warm_up(self) -> None:
        """Translate once before timing: the first call allocates."""
        span = min(self.plan.block_span, self.plan.tiles.width)
        window = (block := Block(self.plan.maxzoom, 0, 0, span, span, self.plan.margin)).window
        shape = (window.height, window.width)
        grey = BlockImage(block, np.zeros((*shape, 3), np.uint8), np.ones(shape, np.bool_))
        self.translator.translate([TranslatorInput(grey)])

    def run(self, source: Source, blocks: list[Block]) -> None:
        started = time.perf_counter()
        rendered = render_blocks(self.plan, source, self.translator, self.storage, blocks)
        self.bytes = sum(len(data) for _, layers in rendered for tiles in layers.values() for data in tiles.values())
        self.rendered, self.seconds = len(blocks), time.perf_counter() - started


def _spread(blocks: list[Block], count: int) -> list[Block]:
    """About `count` blocks, evenly spaced."""
    return blocks[:: max(1, -(-len(blocks) // count))]


def _tiles_by_zoom(plan: Plan, storage: Storage, valid: Mask) -> dict[int, int]:
    rows, columns = np.nonzero(valid)
    rows, columns = rows + plan.tiles.top, columns + plan.tiles.left
    counts = {}
    for zoom in range(plan.maxzoom, (storage.minzoom or 0) - 1, -1):
        counts[zoom] = len(set(zip(rows.tolist(), (columns % 2**zoom).tolist(), strict=True)))
        rows, columns = rows // 2, columns // 2
    return counts


def _covered(plan: Plan, cover: Cover, block: Block) -> float:
    """Data in a block, in tiles."""
    top, left = block.y - plan.tiles.top, block.x - plan.tiles.left
    return float(cover[top : top + block.rows, left : left + block.columns].sum())


def _pixels(block: Block) -> int:
    return block.window.width * block.window.height
