"""Planning a job for many machines: seconds on a laptop, no network loaded but to take its time."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from geo2map.api.options import RenderOptions
from geo2map.api.rendering import Scenes, as_choice, as_engine, make_job
from geo2map.cluster.jobfile import JobFile
from geo2map.errors import PlanError
from geo2map.files.address import is_file_path
from geo2map.model import ModelCard, ModelOptions
from geo2map.pipeline.blocks import render_blocks
from geo2map.plan import Job, Plan, make_plan
from geo2map.plan.job import ANY_DEVICE
from geo2map.plan.shards import choose_shard_zoom
from geo2map.scene import Imagery, find_scenes, open_scenes
from geo2map.scene.collection import SceneCollection, SheetIndex
from geo2map.scene.tile_folder import is_tile_folder
from geo2map.types import PathLike

SAMPLED = 6
"""Blocks that are rendered to see how long they take."""


@dataclass(frozen=True)
class JobSummary:
    """What a job amounts to.

    Attributes:
        shards, blocks: how many.
        tiles: at most, at the map's zoom; places without data are found out when they are read.
        bytes: of the tiles of all zooms, about; None where nothing was measured.
        seconds: on one machine like this, about; None where nothing was measured.
    """

    shards: int
    blocks: int
    tiles: int
    bytes: int | None = None
    seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        counts = ", ".join(
            f"{count} {word}{'s' * (count != 1)}" for count, word in ((self.shards, "shard"), (self.blocks, "block"))
        )
        said = f"{counts}, at most {self.tiles} tile{'s' * (self.tiles != 1)}"
        if self.bytes is None or self.seconds is None:
            return f"{said}; how long it takes was not measured"
        return f"{said}, about {_size(self.bytes)}, {_duration(self.seconds)} on one machine like this"


def _size(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 2**10:.0f} KiB"


def _duration(seconds: float) -> str:
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    whole = round(seconds)
    return f"{whole} second{'s' * (whole != 1)}"


def plan_job(
    scenes: Scenes,
    *,
    model: ModelOptions | PathLike | None = "sat2map",
    card: ModelCard | None = None,
    shard_zoom: int | None = None,
    **options: Any,
) -> JobFile:
    """Decides everything about a job for many machines, without loading a network.

    Args:
        scenes: as `geo2map.render` has them; paths that all machines have.
        model: which one translates; None cuts the scenes' own pixels for the `card`.
        shard_zoom: zoom of the tiles that the shards lie below; None is six above the map's, fewer where that
            made less than 16.
        options: as `geo2map.render` has them, but for what concerns an output.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    chosen = RenderOptions.of(options)
    found = list_scenes(scenes)
    choice = None if model is None else as_choice(model)
    assert choice is None or isinstance(choice, ModelOptions), "an engine cannot be sent to another machine"
    if choice is not None:
        card = choice.load_card()
    elif card is None:
        raise PlanError("neither a model nor the card of one is given: nothing says at which zoom to cut")
    with open_scenes(scenes, **asdict(chosen.reading)) as opened:
        plan = make_plan(opened, card, chosen.planning)
        if choice is None:
            plan = plan.untranslated()
        job = _make_job(opened, plan, choice, card, chosen)
        sheets = SheetIndex.of(opened, plan.maxzoom) if isinstance(opened, SceneCollection) else None
    zoom = choose_shard_zoom(plan, shard_zoom)
    return JobFile(job=job, scenes=tuple(found), model=choice, shard_zoom=zoom, sheets=sheets)


def list_scenes(asked: Scenes) -> list[str]:
    """The scenes that are asked for, whole paths; see `geo2map.scene.find_scenes`.

    Raises:
        SceneError: none, or a list that cannot be read.
    """
    paths = [asked] if is_tile_folder(asked) is not None and isinstance(asked, str | Path) else find_scenes(asked)
    return [str(Path(path).resolve()) if is_file_path(path) else str(path) for path in paths]


def _make_job(opened: Imagery, plan: Plan, choice: ModelOptions | None, card: ModelCard, chosen: RenderOptions) -> Job:
    """The job that `geo2map.render` would make with this model: its device is only named, not asked for."""
    if chosen.storage.with_source:
        raise PlanError(
            "shards have no place for the imagery's own tiles: leave the source out", option="with_source", usage=True
        )
    facts = {"colours_for": card.name} if choice is None else {}
    job = make_job(opened, plan, choice, storage=chosen.storage, reading=chosen.reading, facts=facts)
    return replace(job, device=_this_device()) if job.device == ANY_DEVICE else job


def _this_device() -> str:
    """What kind this machine would take."""
    from geo2map.engine.device import choose_device

    return choose_device(ANY_DEVICE).type


def summarise(order: JobFile, *, measure: bool = True) -> JobSummary:
    """Counts shards, blocks and tiles, and takes the time of a few blocks.

    Args:
        measure: render some blocks for that; loads the network.
    """
    plan, storage = order.job.plan, order.job.storage
    shards = list(order.shards())
    blocks, tiles = plan.block_count, plan.tile_count
    if not measure or not shards:
        return JobSummary(len(shards), blocks, tiles)
    sample = [
        block
        for shard in shards[:: -(-len(shards) // SAMPLED)]
        for block in islice(shard.blocks(plan), 1 if len(shards) >= SAMPLED else SAMPLED // len(shards))
    ]
    engine = None if order.model is None else as_engine(order.model)
    with order.open_scenes() as scene, scene.at(plan.view) as source:
        for _ in render_blocks(plan, source, engine, storage, sample[:1]):
            pass  # the first call allocates, which is not the run's pace
        started = time.perf_counter()
        made = list(render_blocks(plan, source, engine, storage, sample))
        seconds = time.perf_counter() - started
    size = sum(len(data) for _, encoded in made for data in encoded.values())
    growth = tiles / sum(block.columns * block.rows for block in sample)
    return JobSummary(len(shards), blocks, tiles, round(size * growth), seconds * growth)
