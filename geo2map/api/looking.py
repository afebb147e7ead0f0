"""Previews of a run: a few blocks, or its cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geo2map.api.classes import resolve_classes
from geo2map.api.options import RenderOptions
from geo2map.api.rendering import PathLike, Scenes, as_choice, open_engine
from geo2map.errors import TileSetError
from geo2map.grid import TILE_SIZE, Block, BlockImage, PixelWindow
from geo2map.model import ModelOptions
from geo2map.outputs import find_container
from geo2map.outputs.opening import check_tmp
from geo2map.pipeline.blocks import prepare
from geo2map.pipeline.coverage import look
from geo2map.pipeline.estimate import Estimate, estimate
from geo2map.plan import Plan, PlanOptions, make_plan
from geo2map.protocols import Begin
from geo2map.scene import Imagery, open_scenes
from geo2map.types import Image

if TYPE_CHECKING:
    from geo2map.engine import Engine


@dataclass(frozen=True)
class DryRun:
    """The plan and the cost of a run.

    Attributes:
        plan: what it would do.
        estimate: what it would cost.
    """

    plan: Plan
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return {"plan": json.loads(self.plan.to_json()), "estimate": self.estimate.to_dict()}

    def __str__(self) -> str:
        return f"{self.plan}\n{self.estimate}"


def dry_run(
    scenes: Scenes, out: PathLike = "", *, engine: Engine | ModelOptions | PathLike = "sat2map", **options: Any
) -> DryRun:
    """Plans a run of `geo2map.render` and estimates its cost; renders a few blocks for that and writes nothing.

    Args:
        out: of the run; only its kind counts.
        scenes, engine, options: as `geo2map.render` has them.
    """
    chosen, container = RenderOptions.of(options), find_container(out or "tiles/")
    container.check_storage(chosen.storage)
    check_tmp(out, container, chosen.output.tmp)
    with open_scenes(scenes, **asdict(chosen.reading)) as opened:
        plan = _plan(opened, engine, chosen.planning)
        with open_engine(engine) as loaded:
            storage = resolve_classes(chosen.storage, loaded.card).resolve(plan)
            found = estimate(plan, storage, opened, loaded, container)
        if container.is_raster:  # an ordinary GeoTIFF is made first, and laid out anew
            found = replace(found, spool=found.spool + found.bytes)
        if chosen.output.tmp is not None:
            found = _elsewhere(found, Path(out), Path(chosen.output.tmp))
        return DryRun(plan, found)


def _elsewhere(found: Estimate, out: Path, tmp: Path) -> Estimate:
    """Disk use by place; on another disk than the output's, the finished file takes space until it is copied."""
    devices = [_existing(path).stat().st_dev for path in (out, tmp)]
    spool = found.spool + (found.bytes if devices[0] != devices[1] else 0)
    return replace(found, spool=spool, place=str(tmp))


def _existing(path: Path) -> Path:
    """A path, or the nearest above it that there is."""
    path = path.resolve()
    return next(place for place in (path, *path.parents) if place.exists())


def preview(
    scenes: Scenes,
    *,
    engine: Engine | ModelOptions | PathLike = "sat2map",
    span: int = 3,
    begin: Begin | None = None,
    **options: Any,
) -> tuple[Image, Image, Plan]:
    """Source and map of the middle of some scenes, as one, and the plan that was followed.

    Args:
        span: tiles a side.
        scenes, engine, begin, options: as `geo2map.render` has them.

    Returns:
        Two uint8 (H, W, 3), white where there are no data, and the plan.
    """
    chosen = RenderOptions.of(options)
    with open_scenes(scenes, **asdict(chosen.reading)) as opened:
        plan = _plan(opened, engine, chosen.planning)
        if begin is not None:
            begin(plan.name, plan.notes)
        with open_engine(engine) as loaded:
            return *preview_block(plan, opened, loaded, middle_block(plan, opened, span)), plan


def preview_block(plan: Plan, scene: Imagery, engine: Engine, block: Block) -> tuple[Image, Image]:
    """Source and map of one block without its margin, two uint8 (H, W, 3); no data is white."""
    with scene.at(plan.view) as source:
        prepared = prepare(plan, source, block)
    return _on_white(prepared.image.core()), _on_white(engine.translate([prepared])[0].image)


def middle_block(plan: Plan, scene: Imagery, span: int) -> Block:
    """A block of at most span x span tiles around the middle of the valid pixels that the plan wants.

    Raises:
        TileSetError: there are none.
    """
    cell = max(1, min(64, plan.window.width // 4, plan.window.height // 4))
    rows, columns = look(plan, scene, cell)
    if not rows.size:
        raise TileSetError(f"{plan.name} has no valid pixel to preview; check the scene and the area of interest")
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    x, y = (int(pixels[middle]) // TILE_SIZE - span // 2 for pixels in (columns, rows))
    part = PixelWindow(x, y, x + span, y + span).intersection(plan.tiles)
    return Block(plan.maxzoom, part.left, part.top, part.width, part.height, plan.margin)


def _plan(opened: Imagery, engine: Engine | ModelOptions | PathLike, planning: PlanOptions) -> Plan:
    """The plan, for which no model is loaded: a scene that is refused should not wait for torch."""
    choice = as_choice(engine)
    card = choice.load_card() if isinstance(choice, ModelOptions) else choice.card
    return make_plan(opened, card, planning)


def _on_white(image: BlockImage) -> Image:
    return np.where(image.mask[..., None], image.pixels, np.uint8(255))
