"""Measures how fast this machine makes maps, and which stage is slow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from geo2map.api.looking import middle_block
from geo2map.api.options import RenderOptions
from geo2map.api.rendering import PathLike, Scenes, as_choice, make_job, open_engine
from geo2map.errors import PlanError
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.model import ModelOptions
from geo2map.outputs import OutputOptions, open_output
from geo2map.outputs.output import Output
from geo2map.pipeline.rates import Bench, Rates
from geo2map.plan import Plan, make_plan
from geo2map.scene import Imagery, open_scenes

if TYPE_CHECKING:
    from geo2map.engine import Engine

TOWN_SIDE = 3000
"""Pixels along a side of the town that is drawn where no scene is given."""


def bench(
    scenes: Scenes | None = None,
    *,
    engine: Engine | ModelOptions | PathLike = "sat2map",
    blocks: int = 12,
    **options: Any,
) -> Rates:
    """Measures each stage of a run by itself and all together, on blocks in the middle of a scene. Leaves nothing.

    Args:
        scenes: as `geo2map.render` has them; None draws a town.
        blocks: about how many to render; more take longer and tell more.
        engine, options: as `geo2map.render` has them.

    Raises:
        Geo2MapError: whatever rendering raises.
    """
    if blocks < 1:
        raise PlanError(f"{blocks} blocks cannot be measured: give 1 or more", option="blocks", usage=True)
    chosen, choice = RenderOptions.of(options), as_choice(engine)
    card = choice.load_card() if isinstance(choice, ModelOptions) else choice.card
    with TemporaryDirectory(prefix="geo2map-bench-") as folder:
        if scenes is None:
            from geo2map.testing.town import make_town

            scenes = Path(folder) / "town.tif"
            make_town(scenes, size=TOWN_SIDE)
        with open_scenes(scenes, **asdict(chosen.reading)) as opened:
            plan = _middle(make_plan(opened, card, chosen.planning), opened, blocks)
            with open_engine(choice) as loaded:
                return _bench(opened, plan, loaded, chosen, Path(folder)).measure()


def _bench(scene: Imagery, plan: Plan, engine: Engine, options: RenderOptions, folder: Path) -> Bench:
    job = make_job(scene, plan, engine, storage=options.storage, reading=options.reading)

    @contextmanager
    def output() -> Iterator[Output]:
        with TemporaryDirectory(dir=folder) as inner, open_output(Path(inner) / "tiles", job, OutputOptions()) as made:
            yield made

    return Bench(plan, lambda: scene.at(plan.view), engine, output, engine.device.type)


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
