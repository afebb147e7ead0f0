"""Measures how fast this machine makes maps, and which stage is slow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Unpack

from geo2map.api.jobs import on_engine
from geo2map.api.keywords import RenderKeywords
from geo2map.api.looking import middle_block
from geo2map.api.models import ModelLike
from geo2map.api.requests import RenderRequest, resolve
from geo2map.errors import PlanError
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.ledger import OutputOptions, open_output
from geo2map.ledger.output import Output
from geo2map.pipeline.rates import Bench, Rates
from geo2map.plan import Job, Plan
from geo2map.scene import Imagery, Scenes

if TYPE_CHECKING:
    from geo2map.engine import Engine

TOWN_SIDE = 3000
"""Pixels along a side of the town that is drawn where no scene is given."""


def bench(
    scenes: Scenes | None = None,
    *,
    engine: ModelLike = "sat2map",
    blocks: int = 12,
    **options: Unpack[RenderKeywords],
) -> Rates:
    """Measures each stage of a run alone and all together, on blocks in the middle of a scene. Leaves no files.

    Args:
        scenes: see `geo2map.render`; None draws a town.
        blocks: about how many to render; more take longer and measure better.
        engine, options: see `geo2map.render`.

    Raises:
        Geo2MapError: whatever rendering raises.
    """
    return bench_request(RenderRequest.of(scenes or (), None, engine, options), blocks)


def bench_request(request: RenderRequest, blocks: int = 12) -> Rates:
    """Measures a request; one without scenes draws a town. See `bench`."""
    if blocks < 1:
        raise PlanError(f"{blocks} blocks cannot be measured: give 1 or more", option="blocks", usage=True)
    with TemporaryDirectory(prefix="geo2map-bench-") as folder:
        if not request.scenes:
            from geo2map.demo import make_town

            request = replace(request, scenes=Path(folder) / "town.tif")
            make_town(Path(folder) / "town.tif", size=TOWN_SIDE)
        resolved = resolve(replace(request, out=None))
        with resolved.open() as imagery:
            plan = _middle(resolved.plan(imagery), imagery, blocks)
            with resolved.engine() as engine:
                assert engine is not None, "a benchmark translates"
                return _bench(imagery, on_engine(resolved.job(imagery, plan), engine), engine, Path(folder)).measure()


def _bench(scene: Imagery, job: Job, engine: Engine, folder: Path) -> Bench:
    @contextmanager
    def output() -> Iterator[Output]:
        with TemporaryDirectory(dir=folder) as inner, open_output(Path(inner) / "tiles", job, OutputOptions()) as made:
            yield made

    return Bench(job.plan, lambda: scene.at(job.plan.view), engine, output, engine.device.type)


def _middle(plan: Plan, scene: Imagery, blocks: int) -> Plan:
    """The plan of about so many blocks around the middle of the data, more of them side by side than one above
    the other."""
    if plan.block_count <= blocks:
        return plan
    middle, span = middle_block(plan, scene, 1), plan.block_span
    columns = min(math.ceil(math.sqrt(blocks)), -(-plan.tiles.width // span))
    rows = max(1, blocks // columns)
    left, top = (middle.x // span - columns // 2) * span, (middle.y // span - rows // 2) * span
    tiles = PixelWindow(left, top, left + columns * span, top + rows * span)
    part = PixelWindow(*(side * TILE_SIZE for side in tiles)).intersection(plan.window)
    return replace(plan, window=part)
