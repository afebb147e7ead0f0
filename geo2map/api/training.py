"""A training as one call, from pairs to a model file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch

from geo2map.api.keywords import pick_options, require_known
from geo2map.api.model_keywords import RecipeKeywords, TrainKeywords
from geo2map.colour.palette import MAPS_PALETTE, Palette, load_palette
from geo2map.engine.device import choose_device, computes_bf16, require_compiler
from geo2map.engine.transfer import torch_threads
from geo2map.errors import DataError
from geo2map.families import find_family
from geo2map.files.place import check_place, require_writable
from geo2map.model import find_model, load_card, load_weights
from geo2map.protocols import Progress
from geo2map.threads import Budget
from geo2map.train.config import TrainConfig, make_config
from geo2map.train.dataset import Pairs, Sources, recognise_palette
from geo2map.train.pace import Pace
from geo2map.train.pictures import PairFile, list_places, list_splits, read_facts
from geo2map.train.run import Run, TrainingProgress
from geo2map.train.run import train as run_training
from geo2map.train.shelf import Keeping
from geo2map.train.teacher import distill
from geo2map.train.trainer import Trainer, load_checkpoint
from geo2map.train.world import World, open_world


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options of a training beside its recipe.

    Attributes:
        data: folder of pairs; see `geo2map.train.pictures.list_splits`.
        out: the model file to write.
        name: of the model; None is the file's name.
        zoom, ground_resolution: of the pictures; None takes what pairs.json says.
        validation: pairs to hold out, a folder or a list of names.
        palette: of the map: "auto", "maps", "none" or a file.
        start: a model whose weights to start from.
        folder: of the run: checkpoint, losses, samples; None is `out` with .run.
        place: where the pictures are from, for the card.
        other_places, held_out: other places, a folder of pairs for each, and a list of those to leave out.
        teacher_cache: where the teacher's output is kept.
        picture_memory: GiB of decoded pictures to keep on the device, see `geo2map.train.shelf.Keeping.on`; the others
            are decoded and sent step by step.
        minutes: between checkpoints.
        resume: go on from the checkpoint.
        until, early: stop after this step; write the model then, too.
        compiled: torch compiles the generator: a minute or more at the start, then faster steps on CUDA.
    """

    data: Path
    out: Path
    name: str | None = None
    zoom: int | None = None
    ground_resolution: float | None = None
    validation: Path | None = None
    palette: str = "auto"
    start: str | None = None
    folder: Path | None = None
    place: str | None = None
    other_places: Path | None = None
    held_out: Path | None = None
    teacher_cache: Path | None = None
    picture_memory: float | None = None
    minutes: float = 5.0
    resume: bool = False
    until: int | None = None
    early: bool = False
    compiled: bool = False

    @property
    def run_folder(self) -> Path:
        return self.folder or self.out.with_suffix(".run")

    @property
    def checkpoint(self) -> Path:
        return self.run_folder / "checkpoint.pt"


def train_model(
    data: str | Path,
    out: str | Path,
    *,
    on_step: Callable[[TrainingProgress], None] | None = None,
    on_start: Callable[[dict[str, Any]], None] | None = None,
    on_pace: Callable[[Pace], None] | None = None,
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> dict[str, Any] | None:
    """Trains a model on pairs of pictures and writes it.

    Args:
        data, out: see `Training`.
        on_step: called after every step.
        on_start: called with what the network costs, before the first step.
        on_pace: called once with how fast it is, after some ten seconds of steps.
        progress: told ("teacher", done, total) while a teacher's output is made.
        options: see `geo2map.api.model_keywords.TrainKeywords`.

    Returns:
        What was done: out, name, finished, gflop_per_tile, margin, parameters, steps, seconds, crops_per_second (if
        there were enough steps to measure) and the last losses; None in a process that is not the main one.

    Raises:
        DataError: the pairs are missing or broken, or the training diverged.
        Geo2MapError: whatever else is wrong with model, device or output.
    """
    require_known(options, TrainKeywords)
    asked = pick_options(Training, {**options, "data": Path(data), "out": Path(out)})
    recipe = {name: value for name, value in options.items() if name in RecipeKeywords.__optional_keys__}
    check_place(asked.out, keep=[asked.data], kept="the folder of pairs")
    for place in (asked.out, asked.run_folder / "checkpoint.pt"):
        require_writable(place)
    device, budget = choose_device(options.get("device", "auto")), Budget.make(options.get("threads"))
    if asked.compiled:
        require_compiler(device)
    deterministic = options.get("deterministic", False)
    with torch_threads(budget.threads), _algorithms(deterministic), open_world(device) as world:
        nothing: Callable[[Any], None] = lambda _: None  # noqa: E731
        callbacks = _Callbacks(on_step or nothing, on_start or nothing, on_pace or nothing, progress)
        summary = _train(asked, {"preset": options.get("preset"), **recipe}, world, callbacks)
        return summary if world.is_main else None


@contextmanager
def _algorithms(deterministic: bool) -> Iterator[None]:
    """Limits torch to deterministic algorithms meanwhile, or leaves it as it is."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, CUDA's matrix products are refused
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@dataclass(frozen=True)
class _Callbacks:
    """What a training calls."""

    on_step: Callable[[TrainingProgress], None]
    on_start: Callable[[dict[str, Any]], None]
    on_pace: Callable[[Pace], None]
    progress: Progress | None


def _train(asked: Training, choices: dict[str, Any], world: World, callbacks: _Callbacks) -> dict[str, Any]:
    zoom, resolution = read_facts(asked.data)
    files, kept_aside = list_splits(asked.data, asked.validation)
    wanted = choices.get("legend")
    if asked.start and not asked.resume:
        choices = _network(asked.start) | {name: value for name, value in choices.items() if value is not None}
    config = _config(asked.checkpoint if asked.resume else None, choices, world.device)
    style = _palette(asked.palette, files, config)
    if style is None and choices.get("preset") == "sat2map":
        raise DataError(
            "the preset sat2map learns the classes of a map: the target pictures have none that are known; say which "
            "colours they are, or take another preset",
            option="palette",
        )
    if style is None and not wanted:  # of the model to start from, which knew a palette
        config = config.with_choices(legend=False)
    trainer = _trainer(asked, files, config, style, world, callbacks.progress)
    cost, name = _cost(trainer), asked.name or asked.out.stem
    if world.is_main:
        callbacks.on_start(cost)
    run = Run(
        folder=asked.run_folder,
        minutes=asked.minutes,
        until=asked.until,
        early=asked.early,
        samples=Pairs(kept_aside[:: max(1, len(kept_aside) // 8)], config, style) if kept_aside else None,
        on_step=callbacks.on_step,
        on_pace=callbacks.on_pace,
    )
    started = time.monotonic()
    run_training(
        trainer,
        run,
        asked.out,
        name=name,
        zoom=zoom if asked.zoom is None else asked.zoom,
        ground_resolution=asked.ground_resolution or resolution,
        training={"started_from": Path(asked.start).name} if asked.start else {},
        places=(asked.place,) if asked.place else (),
    )
    summary = {"out": asked.out.as_posix(), "name": name, "finished": trainer.step == trainer.total}
    seconds = time.monotonic() - started
    pace = {"crops_per_second": run.pace.crops_per_second} if run.pace else {}
    return {**summary, **cost, "steps": trainer.step, "seconds": seconds, **pace, **trainer.losses}


def _trainer(
    asked: Training,
    files: list[PairFile],
    config: TrainConfig,
    style: Palette | None,
    world: World,
    progress: Progress | None,
) -> Trainer:
    """The state at the start of a run: new, from a model's weights, or from its checkpoint."""

    places = list_places(asked.other_places, asked.held_out) if asked.other_places else {}
    teacher_output = _teacher_output(files, asked, config.teacher, world, progress) if config.teacher else None
    keeping = Keeping.on(world.device, asked.picture_memory)
    pairs = Pairs(Sources(files, places, teacher_output), config, style, keeping)
    trainer = Trainer(pairs, world, compiled=asked.compiled)
    if asked.resume:
        trainer.load(asked.checkpoint)
    elif asked.start:
        model = find_model(asked.start)
        trainer.start_from(load_weights(model), load_card(model).config.get("legend", ()))
    return trainer


def _network(start: str) -> dict[str, Any]:
    """The network of the model to start from, which is trained unless options change it."""
    card = load_card(find_model(start))
    own = find_family(card.architecture).choices(card.config)
    return own | ({"noise": card.noise} if card.noise else {}) | ({"legend": True} if "legend" in card.config else {})


def _config(checkpoint: Path | None, choices: dict[str, Any], device: torch.device) -> TrainConfig:
    """The preset's configuration or the checkpoint's, with the caller's choices."""
    preset, choices = choices.get("preset"), {name: value for name, value in choices.items() if name != "preset"}
    if checkpoint is None:
        # on a CPU, the teacher's engine limits oneDNN to AVX2, which has no bf16
        slow = not computes_bf16(device) or (device.type == "cpu" and choices.get("teacher"))
        if slow and choices.get("autocast") is None:
            choices["autocast"] = "none"
        return make_config(preset or "geo2map", **choices)
    saved = TrainConfig.from_json(load_checkpoint(checkpoint)["config"])
    return saved.with_choices(**choices)


def _palette(asked: str, files: list[PairFile], config: TrainConfig) -> Palette | None:

    if asked == "auto":
        return recognise_palette(files, config.direction)
    return {"none": None, "maps": MAPS_PALETTE}[asked] if asked in ("none", "maps") else load_palette(Path(asked))


def _cost(trainer: Trainer) -> dict[str, float]:
    """The cost of the network where it is used."""

    config, family = trainer.network, trainer.family
    with torch.device("meta"):
        network = family.build(config)
    cost, parameters = family.gflop_per_tile(config), sum(part.numel() for part in network.parameters())
    return {"gflop_per_tile": round(cost, 3), "margin": network.margin, "parameters": parameters}


def _teacher_output(
    files: list[PairFile], asked: Training, teacher: str, world: World, progress: Progress | None
) -> Path:
    """The teacher's output for all pictures, made by the main process."""
    folder = asked.teacher_cache or asked.run_folder / "teacher"
    if world.is_main:
        said = progress or (lambda *_: None)
        distill(files, find_model(teacher), folder, world.device, lambda done, total: said("teacher", done, total))
    world.wait()
    return folder
