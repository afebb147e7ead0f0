"""The public face: each stage as one call, from files to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from geo2map import grid
from geo2map.engine import Engine, load_engine
from geo2map.errors import Geo2MapError, OutputError, TileSetError
from geo2map.files.address import is_file_path, redact, scene_name
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block
from geo2map.model import ModelCard
from geo2map.outputs import open_sink
from geo2map.outputs.raster import mosaic as mosaic_tiles  # noqa: F401 (public so: `geo2map.outputs.raster` is the module)
from geo2map.plan import Plan, PlanOptions, make_plan, plan_window
from geo2map.protocols import Progress
from geo2map.render.coverage import look
from geo2map.render.pipeline import Report, prepare, run, translate
from geo2map.scene import Imagery, SceneOptions, TileSource, find_scenes, open_scenes
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Image, Mask, Tile

PathLike = str | Path
Scenes = PathLike | Sequence[PathLike]
"""One scene or several: files, folders, patterns, URLs; see `geo2map.open_scenes`."""


def render(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: Engine | PathLike = "sat2map",
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Renders a scene, or several as one, as a map.

    Args:
        scenes: rasters with a CRS; anything rasterio opens.
        out: a folder for XYZ tiles, or a .tif.
        engine: a loaded engine, or the name or file of a model.
        overwrite: replace an existing output.
        progress: see `geo2map.run`.
        options: the fields of `geo2map.PlanOptions` and the keywords of `geo2map.open_scenes`, e.g. zoom=17, feather=8.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    engine = as_engine(engine)
    return _run(scenes, out, engine.card, engine, options, overwrite=overwrite, progress=progress)


def render_each(
    scenes: Scenes,
    out: PathLike,
    *,
    engine: Engine | PathLike = "sat2map",
    suffix: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Iterator[Report]:
    """Renders scenes one by one into `out/<scene name><suffix>`; a failed one does not stop the rest.

    Yields:
        A report a scene as soon as it is done; `error` says why it failed.
    """
    engine = as_engine(engine)
    taken: set[Path] = set()
    for scene in find_scenes(scenes):
        target = Path(out) / f"{scene_name(scene)}{suffix}"
        try:
            if target in taken:
                raise OutputError(
                    f"{target} asked for {redact(scene)}, but a scene of the same name is there: rename one"
                )
            taken.add(target)
            yield render(scene, target, engine=engine, overwrite=overwrite, progress=progress, **options)
        except Geo2MapError as error:
            yield Report(scene_name(scene), error=str(error))


def tile(
    scenes: Scenes,
    out: PathLike,
    *,
    card: ModelCard,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Cuts a scene, or several as one, into XYZ tiles for a model, colours applied, nothing translated. Lossless (PNG).

    Translating the tiles gives the same pixels at maxzoom as rendering the scene.
    """
    return _run(scenes, out, card, None, options, overwrite=overwrite, progress=progress)


def _run(
    scenes: Scenes,
    out: PathLike,
    card: ModelCard,
    engine: Engine | None,
    options: Mapping[str, Any],
    *,
    overwrite: bool,
    progress: Progress | None,
) -> Report:
    """Scenes to an output, translated where there is an engine, else only cut for the card's model."""
    _require_elsewhere(out, scenes)
    reading, planning = split_options(options)
    with open_scenes(scenes, **reading) as opened:
        plan = make_plan(opened, card, planning)
        said = {}
        if engine is None:
            plan, said = plan.untranslated(), {"colours_for": card.name}
        with (
            opened.at(plan.maxzoom, plan.rendition, plan.resampling) as source,
            open_sink(out, tile_set(plan, **said), overwrite=overwrite, progress=progress) as sink,
        ):
            return run(plan, source, engine, sink, batch=engine.batch if engine else 1, progress=progress)


def translate_tiles(
    tiles: PathLike,
    out: PathLike,
    *,
    engine: Engine | PathLike = "sat2map",
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Translates a folder of XYZ tiles at its maxzoom, each block reading its neighbours for the margin.

    Args:
        tiles: made by `geo2map.tile` or by anyone else (256 px).
        out: a folder for XYZ tiles, or a .tif.
        options: the fields of `geo2map.PlanOptions`; zoom picks one of the folder's zooms.
    """
    engine = as_engine(engine)
    folder = XyzFolder(Path(tiles))
    plan = plan_tiles(folder, engine.card, PlanOptions(**options))
    source = TileSource(folder, plan.maxzoom, plan.rendition)
    with open_sink(out, tile_set(plan), overwrite=overwrite, progress=progress) as sink:
        return run(plan, source, engine, sink, batch=engine.batch, progress=progress)


def plan_tiles(folder: XyzFolder, card: ModelCard, options: PlanOptions) -> Plan:
    """The plan for translating an XYZ folder; a folder cut by geo2map keeps its scene's window and colours."""
    zoom = folder.pick_zoom(options.zoom)
    known = TileSet.load(folder.path)
    window = known.window if known and known.maxzoom == zoom else folder.window(zoom)
    if known and known.extra.get("colours_for") == card.name:
        options = replace(options, match="none")
    name = known.name if known else folder.path.resolve().name
    return plan_window(card, options, name=name, zoom=zoom, window=window, sample=_sample_tiles(folder, zoom))


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], PlanOptions]:
    """Sorts keywords: those of `open_scenes`, and the rest as `PlanOptions`."""
    names = {field.name for field in fields(SceneOptions)} | {"order", "feather"}
    reading = {name: value for name, value in options.items() if name in names}
    return reading, PlanOptions(**{name: value for name, value in options.items() if name not in names})


def preview(scene: Imagery, engine: Engine, tile: Tile, **options: Any) -> Image:
    """One tile of the map of an open scene, uint8 (256, 256, 3); pixels without data are white."""
    plan = make_plan(scene, engine.card, PlanOptions(**{"zoom": tile.z, **options}))
    block = Block(tile.z, tile.x, tile.y, 1, 1, plan.margin)
    return preview_block(plan, scene, engine, block)[1]


def preview_block(plan: Plan, scene: Imagery, engine: Engine, block: Block) -> tuple[Image, Image]:
    """Source and map of one block without its margin, two uint8 (H, W, 3); no data is white."""
    with scene.at(plan.maxzoom, plan.rendition, plan.resampling) as source:
        image = prepare(plan, source, block)
    translated = translate([image], engine)[0]
    return _on_white(image.core().pixels, image.core().mask), _on_white(translated.pixels, translated.mask)


def middle_block(plan: Plan, scene: Imagery, span: int) -> Block:
    """A block of at most span x span tiles around the middle of the valid pixels that the plan wants."""
    cell = max(1, min(64, plan.window.width // 4, plan.window.height // 4))
    rows, columns = look(plan, scene, cell)
    if not rows.size:
        raise TileSetError(f"a preview of {plan.name} asked, but it has no valid pixel where it is asked for")
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    x, y = (int(pixels[middle]) // grid.TILE_SIZE - span // 2 for pixels in (columns, rows))
    part = PixelWindow(x, y, x + span, y + span).intersection(plan.tiles)
    return Block(plan.maxzoom, part.left, part.top, part.width, part.height, plan.margin)


def tile_set(plan: Plan, **extra: Any) -> TileSet:
    """What the output of a plan says about itself."""
    extra |= {"model": plan.model, "plan": plan.fingerprint}
    return TileSet(plan.name, plan.format, plan.minzoom, plan.maxzoom, plan.window, extra)


def as_engine(engine: Engine | PathLike) -> Engine:
    """A loaded engine for an engine, a packaged model's name or a model file."""
    return engine if isinstance(engine, Engine) else load_engine(engine)


def _require_elsewhere(out: PathLike, scenes: Scenes) -> None:
    """Refuses to put an output in a scene's place, overwriting allowed or not."""
    if Path(out).resolve() in {Path(scene).resolve() for scene in find_scenes(scenes) if is_file_path(scene)}:
        raise OutputError(f"output {out} asked, but that is the scene itself: give another --out")


def _sample_tiles(folder: XyzFolder, zoom: int, count: int = 64) -> Image:
    """Valid pixels of evenly spread tiles, every fourth row and column, uint8 (pixels, 3)."""
    tiles = list(folder.tiles(zoom))
    found = [folder.read(tile) for tile in tiles[:: max(1, len(tiles) // count)]]
    return np.concatenate([pixels[::4, ::4][mask[::4, ::4]] for pixels, mask in filter(None, found)])


def _on_white(image: Image, mask: Mask) -> Image:
    return np.where(mask[..., None], image, np.uint8(255))
