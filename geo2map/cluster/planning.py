"""Planning a job for many machines: seconds on a laptop; a network is loaded only to measure its speed."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Unpack, cast

from geo2map.api.keywords import RenderKeywords, ShardKeywords, require_known
from geo2map.api.models import ResolvedModel, open_engine
from geo2map.api.planning import plan_with
from geo2map.api.requests import RenderRequest, ResolvedRequest, resolve
from geo2map.cluster.jobfile import JobFile
from geo2map.errors import PlanError
from geo2map.model import ModelCard, ModelOptions
from geo2map.pipeline.blocks import render_blocks
from geo2map.plan.job import ANY_DEVICE
from geo2map.plan.shards import choose_shard_zoom
from geo2map.scene import Scenes
from geo2map.scene.collection import SceneCollection, SheetIndex
from geo2map.types import PathLike

SAMPLED = 6
"""Blocks that are rendered to measure speed."""


@dataclass(frozen=True)
class JobSummary:
    """Size and cost of a job.

    Attributes:
        shards, blocks: their numbers.
        tiles: upper bound at the map's zoom; gaps in the data are detected when they are read.
        bytes: estimate for the tiles of all zooms; None where nothing was measured.
        seconds: estimate for one machine like this; None where nothing was measured.
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
            return f"{said}; duration not measured"
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
    **options: Unpack[ShardKeywords],
) -> JobFile:
    """Plans a job for many machines, without loading a network.

    Args:
        scenes: see `geo2map.render`; paths that all machines have.
        model: the model that translates; None cuts tiles for the `card`.
        options: see `geo2map.api.keywords.ShardKeywords`; those about an existing output have no effect.

    Raises:
        Geo2MapError: one of its children, with one plain sentence.
    """
    request = RenderRequest.of(scenes, None, choose_model(model, card), without_shards(options))
    return plan_request(resolve(request), options.get("shard_zoom"))


def choose_model(model: ModelOptions | PathLike | None, card: ModelCard | None) -> ModelOptions | PathLike | ModelCard:
    """The model, or the card to cut tiles for.

    Raises:
        PlanError: neither.
    """
    if (choice := card if model is None else model) is None:
        raise PlanError("a plan needs a model, or the card of one to cut tiles for: give one of them", option="model")
    return choice


def without_shards(options: ShardKeywords) -> RenderKeywords:
    """The options of an ordinary run.

    Raises:
        TypeError: an unknown option.
    """
    require_known(options, ShardKeywords)
    return cast(RenderKeywords, {name: value for name, value in options.items() if name != "shard_zoom"})


def plan_request(resolved: ResolvedRequest, shard_zoom: int | None = None) -> JobFile:
    """Plans a resolved request for many machines; see `plan_job`.

    Raises:
        PlanError: what shards cannot do, or a model that is loaded here already.
    """
    request, model = resolved.request, resolved.model
    request.require_whole("a cluster")
    if model.translates and model.options is None:
        raise PlanError("a loaded engine cannot be sent to other machines: name the model", option="model")
    with resolved.open() as opened, _planner(model) as planner:
        plan = plan_with(planner, opened, request.planning, out=request.out)
        job = resolved.job(opened, plan)
        sheets = SheetIndex.of(opened, plan.maxzoom) if isinstance(opened, SceneCollection) else None
    job = replace(job, device=_this_device()) if job.device == ANY_DEVICE else job
    zoom, scenes = choose_shard_zoom(plan, shard_zoom), tuple(resolved.scenes.full_paths)
    return JobFile(job=job, scenes=scenes, model=model.options, shard_zoom=zoom, sheets=sheets)


def _planner(model: ResolvedModel) -> ResolvedModel:
    """The same model on the CPU: who plans may lack the device of those who render."""
    options = model.options
    if options is None:
        return model
    return ResolvedModel(replace(options, device="cpu", precision="fp32"), translates=model.translates)


def _this_device() -> str:
    """The kind of device that this machine would use."""
    from geo2map.engine.device import choose_device

    return choose_device(ANY_DEVICE).type


def summarise(job_file: JobFile, *, measure: bool = True) -> JobSummary:
    """Counts shards, blocks and tiles, and times a few blocks.

    Args:
        measure: render and time blocks; loads the network.
    """
    plan, storage = job_file.job.plan, job_file.job.storage
    shards = list(job_file.shards())
    blocks, tiles = plan.block_count, plan.tile_count
    if not measure or not shards:
        return JobSummary(len(shards), blocks, tiles)
    sample = [
        block
        for shard in shards[:: -(-len(shards) // SAMPLED)]
        for block in islice(shard.blocks(plan), 1 if len(shards) >= SAMPLED else SAMPLED // len(shards))
    ]
    loading = nullcontext() if job_file.model is None else open_engine(job_file.model)
    with loading as engine, job_file.open_scenes() as scene, scene.at(plan.view) as source:
        for _ in render_blocks(plan, source, engine, storage, sample[:1]):
            pass  # the first call allocates, which is not the run's pace
        started = time.perf_counter()
        made = list(render_blocks(plan, source, engine, storage, sample))
        seconds = time.perf_counter() - started
    size = sum(len(data) for _, layers in made for tiles in layers.values() for data in tiles.values())
    growth = tiles / sum(block.columns * block.rows for block in sample)
    return JobSummary(len(shards), blocks, tiles, round(size * growth), seconds * growth)
