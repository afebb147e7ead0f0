"""The demo: a synthetic town, its map, its features, and a picture of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geo2map.api.looking import middle_block, preview_block
from geo2map.api.mosaic import mosaic_tiles
from geo2map.api.rendering import render
from geo2map.demo import make_town
from geo2map.files.atomic import output_errors
from geo2map.files.picture import require_new_picture, side_by_side, write_picture
from geo2map.files.place import require_name
from geo2map.formats.vectors.drawing import drawn_tiles
from geo2map.formats.vectors.read import FeatureFile
from geo2map.grid.block import Block
from geo2map.grid.window import tile_window
from geo2map.pipeline.report import Report
from geo2map.plan import PlanOptions, make_plan
from geo2map.protocols import Begin, Progress
from geo2map.scene import ReadingOptions, open_imagery
from geo2map.types import Image, Tile

if TYPE_CHECKING:
    from geo2map.engine import Engine

_SPAN = 3
"""Tiles along a side of what the picture shows."""


@dataclass(frozen=True)
class Demo:
    """What a demo made.

    Attributes:
        report: of the render.
        rendered: the scene that was rendered.
        files: paths of the results, by what they are.
    """

    report: Report
    rendered: Path
    files: dict[str, Path]


def make_demo(
    home: str | Path,
    *,
    engine: Engine,
    size: int = 4096,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    begin: Begin | None = None,
) -> Demo:
    """Draw a synthetic town near 1 m, render it as tiles and as a GeoTIFF, and read out its features.

    A model that translates maps into imagery renders the town's true map, and has no features.

    Args:
        home: folder for all files.
        size: side of the scene, pixels.
        seed: of the random town.
        overwrite, progress, begin: see `render`.

    Raises:
        OutputError: a file exists, or cannot be written.
    """
    require_name(str(home))
    home = Path(home)
    files = {"scene": home / "town.tif", "tiles": home / "tiles", "map": home / "map.tif"}
    files |= {"picture": home / "before-after.png", "truth": home / "town-truth.tif"}
    require_new_picture(files["picture"], overwrite)
    with output_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    make_town(files["scene"], files["truth"], size=size, seed=seed)
    taken = files["truth"] if engine.card.direction == "b2a" else files["scene"]
    report = render(taken, files["tiles"], engine=engine, overwrite=overwrite, progress=progress, begin=begin)
    mosaic_tiles(files["tiles"], files["map"], overwrite=overwrite, progress=progress)
    if engine.card.palette is not None:
        files["features"] = home / "town.gpkg"
        render(taken, files["features"], engine=engine, overwrite=overwrite, progress=progress)
    write_picture(_picture(taken, engine, files.get("features")), files["picture"])
    return Demo(report, taken, files)


def _picture(scene: Path, engine: Engine, features: Path | None) -> Image:
    """Imagery, map and redrawn map of the middle of a scene, side by side."""
    with open_imagery(str(scene), ReadingOptions()) as opened:
        plan = make_plan(opened, engine.card, PlanOptions())
        block = middle_block(plan, opened, _SPAN)
        shown = preview_block(plan, opened, engine, block)
    if features is None:
        return side_by_side(*shown)
    return side_by_side(*shown, _redrawn(FeatureFile.open(features), replace(block, margin=0)))


def _redrawn(features: FeatureFile, block: Block) -> Image:
    """The features under a block, drawn in the map's own colours."""
    window = block.window
    picture = np.empty((window.height, window.width, 3), np.uint8)
    across, down = range(block.x, block.x + block.columns), range(block.y, block.y + block.rows)
    tiles = (Tile(x, y, block.z) for x in across for y in down)
    for tile, pixels in drawn_tiles(features, features.style, tiles):
        picture[tile_window(tile).slices(window)] = pixels
    return picture
