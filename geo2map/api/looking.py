"""Previews of a run: a few blocks, or its cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from geo2map.api.classes import resolve_legend
from geo2map.api.keywords import RenderKeywords
from geo2map.api.models import ModelLike
from geo2map.api.requests import RenderRequest, ResolvedRequest, resolve
from geo2map.errors import TileSetError
from geo2map.files.picture import hatched
from geo2map.formats import find_container
from geo2map.grid import TILE_SIZE, Block, BlockImage, PixelWindow
from geo2map.ledger.checks import check_tmp
from geo2map.pipeline.coverage import survey
from geo2map.pipeline.estimate import Estimate, estimate
from geo2map.pipeline.reading import prepare
from geo2map.plan import Plan
from geo2map.protocols import Begin
from geo2map.scene import Imagery, Scenes
from geo2map.types import Image, PathLike

if TYPE_CHECKING:
    from geo2map.engine import Engine


@dataclass(frozen=True)
class DryRun:
    """The plan and the cost of a run.

    Attributes:
        plan: the run's.
        estimate: its cost.
    """

    plan: Plan
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return {"plan": json.loads(self.plan.to_json()), "estimate": self.estimate.to_dict()}

    def _repr_html_(self) -> str:
        """For notebooks: the plan, and its cost."""
        cost = str(self.estimate).splitlines()
        return self.plan.as_html([("tiles", cost[0]), ("cost", "; ".join(cost[1:]))])

    def __str__(self) -> str:
        return f"{self.plan}\n{self.estimate}"


def dry_run(
    scenes: Scenes, out: PathLike = "", *, engine: ModelLike = "sat2map", **options: Unpack[RenderKeywords]
) -> DryRun:
    """Plans a run of `geo2map.render` and estimates its cost; renders a few blocks for that and writes nothing.

    Args:
        out: output of the run; only its kind counts.
        scenes, engine, options: see `geo2map.render`.
    """
    return estimate_request(RenderRequest.of(scenes, out, engine, options))


def estimate_request(request: RenderRequest) -> DryRun:
    """What a request would do and cost; see `dry_run`."""
    out, tmp = request.out or "tiles/", request.output.tmp
    container = find_container(out)
    container.check_storage(request.storage)
    check_tmp(out, container, tmp)
    resolved = resolve(replace(request, out=None))
    with resolved.open() as opened, plan_loaded(resolved, opened) as (plan, loaded):
        storage = resolve_legend(request.storage, loaded.card).resolve(plan)
        container.check_size(plan.window)
        found = estimate(plan, storage, opened, loaded, container)
        if container.is_raster:  # an ordinary GeoTIFF is made first, and laid out anew
            found = replace(found, spool=found.spool + found.bytes)
        return DryRun(plan, found if tmp is None else _elsewhere(found, Path(out), Path(tmp)))


def _elsewhere(found: Estimate, out: Path, tmp: Path) -> Estimate:
    """Disk use by place; on another disk than the output's, the finished file takes space until it is copied."""
    devices = [_existing(path).stat().st_dev for path in (out, tmp)]
    spool = found.spool + (found.bytes if devices[0] != devices[1] else 0)
    return replace(found, spool=spool, place=str(tmp))


def _existing(path: Path) -> Path:
    """A path, or the nearest existing folder above it."""
    path = path.resolve()
    return next(place for place in (path, *path.parents) if place.exists())


def preview(
    scenes: Scenes,
    *,
    engine: ModelLike = "sat2map",
    span: int = 3,
    begin: Begin | None = None,
    **options: Unpack[RenderKeywords],
) -> tuple[Image, Image, Plan]:
    """Source and map of the middle of some scenes, as one, and the plan that was followed.

    Args:
        span: tiles a side.
        scenes, engine, begin, options: see `geo2map.render`.

    Returns:
        Two uint8 (H, W, 3), hatched where there are no data, of the part of these tiles where the scene is; and the
        plan.
    """
    return preview_request(RenderRequest.of(scenes, None, engine, options), span, begin=begin)


def preview_request(request: RenderRequest, span: int = 3, *, begin: Begin | None = None) -> tuple[Image, Image, Plan]:
    """Source and map of the middle of a request's scenes; see `preview`."""
    resolved = resolve(replace(request, out=None))
    with resolved.open() as opened, plan_loaded(resolved, opened) as (plan, loaded):
        if begin is not None:
            begin(plan.name, plan.notes)
        block = middle_block(plan, opened, span)
        part = block.core.intersection(plan.window).slices(block.core)
        seen = prepared_block(plan, opened, loaded, block)
        source, drawn = (hatched(image.pixels[part], image.mask[part]) for image in seen)
        return source, drawn, plan


def preview_block(plan: Plan, scene: Imagery, engine: Engine, block: Block) -> tuple[Image, Image]:
    """Source and map of one block without its margin, two uint8 (H, W, 3); no data is hatched."""
    source, drawn = prepared_block(plan, scene, engine, block)
    return hatched(source.pixels, source.mask), hatched(drawn.pixels, drawn.mask)


def prepared_block(plan: Plan, scene: Imagery, engine: Engine, block: Block) -> tuple[BlockImage, BlockImage]:
    """Source and map of one block without its margin."""
    with scene.at(plan.view) as source:
        prepared = prepare(plan, source, block)
    return prepared.image.core(), engine.translate([prepared])[0].image


def middle_block(plan: Plan, scene: Imagery, span: int) -> Block:
    """A block of at most span x span tiles around the middle of the plan's valid pixels.

    Raises:
        TileSetError: the plan has no valid pixel.
    """
    cell = max(1, min(64, plan.window.width // 4, plan.window.height // 4))
    rows, columns = survey(plan, scene, cell)
    if not rows.size:
        raise TileSetError(f"{plan.name} has no valid pixel in the area of the preview: check the scene and the area")
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    x, y = (int(pixels[middle]) // TILE_SIZE - span // 2 for pixels in (columns, rows))
    part = PixelWindow(x, y, x + span, y + span).intersection(plan.tiles)
    return Block(plan.maxzoom, part.left, part.top, part.width, part.height, plan.margin)


@contextmanager
def plan_loaded(resolved: ResolvedRequest, opened: Imagery) -> Iterator[tuple[Plan, Engine]]:
    """The plan first, since a scene that is refused should not wait for torch."""
    plan = resolved.plan(opened)
    with resolved.engine() as engine:
        assert engine is not None, "a preview translates"
        yield plan, engine
