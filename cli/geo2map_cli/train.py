"""`geo2map train`: pairs in, a model file out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.recipe import recipe_options
from geo2map_cli.reporting import Bar, report_options

if TYPE_CHECKING:
    from geo2map.colour.palette import Palette
    from geo2map.train.config import TrainConfig
    from geo2map.train.pictures import PairFile
    from geo2map.train.run import Progress
    from geo2map.train.trainer import Trainer
    from geo2map.train.world import World

TELL_EVERY = 60.0  # seconds, where there is no terminal


@click.command("train")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .safetensors.")
@click.option("--name", help="Of the model. [default: the file's name]")
@click.option("--zoom", type=click.IntRange(0, 24), help="Of the pictures. [default: pairs.json's, else 17]")
@click.option("--ground-resolution", type=float, help="Metres per pixel. [default: pairs.json's, else 0.905]")
@click.option(
    "--validation", type=click.Path(path_type=Path), help="Pairs to keep aside: a folder, or a list of names."
)
@click.option("--place", help="Where the pictures in DATA are from, for the card.")
@click.option(
    "--elsewhere",
    "elsewhere_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Other places: a folder of pairs for each.",
)
@click.option("--elsewhere-aside", type=click.Path(path_type=Path), help="A list of PLACE/NAME to leave out of them.")
@click.option("--teacher", metavar="MODEL", help="Also learn from what this model makes of DATA.")
@click.option("--teacher-cache", type=click.Path(path_type=Path), help="Of its output. [default: in --run]")
@click.option("--palette", default="auto", show_default=True, help="Of the map: auto, maps, none or a .tsv.")
@click.option("--preset", type=click.Choice(["geo2map", "pix2pix"]), help="The recipe; others override it. [geo2map]")
@recipe_options
@click.option("--from", "start", help="Start from the weights of this model (fine-tuning).")
@click.option("--run", "folder", type=click.Path(file_okay=False, path_type=Path), help="[default: OUT with .run]")
@click.option("--minutes", type=float, default=5.0, show_default=True, help="Between checkpoints.")
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint, with its choices.")
@click.option("--until", type=click.IntRange(1), help="Stop after this step; --resume goes on.")
@click.option("--early", is_flag=True, help="Write OUT at --until, too, as the model is by then.")
@click.option("--deterministic", is_flag=True, help="Same seed, same weights on CUDA too; slower there.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [default: all allowed]")
@report_options
def command(data: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Train a pix2pix generator on the pairs in DATA.

    DATA holds side-by-side A|B pictures as the `maps` data set, two parallel folders A and B, or the folders train
    and val of `geo2map pairs`. In brackets: what the preset geo2map sets for a2b; after a semicolon, what pix2pix
    sets. For b2a the preset geo2map has the discriminator join early, feature matching, and no jitter of light.

    \b
    geo2map train pairs/ --out mine.safetensors
    geo2map train pairs/ --out mine.safetensors --from sat2map --steps 2000
    torchrun --nproc-per-node 4 -m geo2map_cli train pairs/ --out mine.safetensors
    """
    import torch

    from geo2map.engine.device import choose_device
    from geo2map.threads import available_threads
    from geo2map.train.world import open_world

    torch.set_num_threads(options.pop("threads") or available_threads())
    if options.pop("deterministic"):
        torch.use_deterministic_algorithms(True)
    own = {each.name for each in fields(Asked)} & options.keys()
    asked = Asked(data=data, out=out, **{name: options.pop(name) for name in own})
    with open_world(choose_device(options.pop("device"))) as world:
        summary = _train(asked, options, world)
        if world.leads:
            words = f"{out}: {summary['name']} after {summary['steps']} steps, {summary['seconds']:.0f} s"
            click.echo(json.dumps(summary) if as_json else words if summary["finished"] else f"stopped; {words}")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a run beside its recipe, see the options."""

    data: Path
    out: Path
    name: str | None
    zoom: int | None
    ground_resolution: float | None
    validation: Path | None
    palette: str
    start: str | None
    folder: Path | None
    place: str | None
    elsewhere_folder: Path | None
    elsewhere_aside: Path | None
    teacher_cache: Path | None
    minutes: float
    resume: bool
    until: int | None
    early: bool

    @property
    def run_folder(self) -> Path:
        return self.folder or self.out.with_suffix(".run")

    @property
    def checkpoint(self) -> Path:
        return self.run_folder / "checkpoint.pt"


def _train(asked: Asked, choices: dict[str, Any], world: World) -> dict[str, Any]:
    from geo2map.train.dataset import Pairs
    from geo2map.train.pictures import list_splits, read_facts
    from geo2map.train.run import Run, train

    zoom, resolution = read_facts(asked.data)
    files, kept_aside = list_splits(asked.data, asked.validation)
    config = _config(asked.checkpoint if asked.resume else None, **choices)
    style = _palette(asked.palette, files, config)
    trainer = _trainer(asked, files, config, style, world)
    cost, name = _cost(trainer), asked.name or asked.out.stem
    if world.leads:
        told = "{gflop_per_tile:.3g} GFLOP a tile of 256 px, margin {margin} px, {parameters} weights"
        click.echo(told.format(**cost), err=True)
    started = time.monotonic()
    with Bar() as bar:
        samples = Pairs(kept_aside[:: max(1, len(kept_aside) // 8)], config, style) if kept_aside else None
        run = Run(
            folder=asked.run_folder,
            minutes=asked.minutes,
            until=asked.until,
            early=asked.early,
            samples=samples,
            tell=_teller(bar),
        )
        train(
            trainer,
            run,
            asked.out,
            name=name,
            zoom=zoom if asked.zoom is None else asked.zoom,
            ground_resolution=asked.ground_resolution or resolution,
            training={"started_from": asked.start} if asked.start else {},
            places=(asked.place,) if asked.place else (),
        )
    summary = {"out": asked.out.as_posix(), "name": name, "finished": trainer.step == trainer.total}
    seconds = time.monotonic() - started
    return {**summary, **cost, "steps": trainer.step, "seconds": seconds, **trainer.losses}


def _trainer(asked: Asked, files: list[PairFile], config: TrainConfig, style: Palette | None, world: World) -> Trainer:
    """The state a run begins with: anew, of a model's weights, or of its checkpoint."""
    from geo2map.model import find_model, load_weights
    from geo2map.train.dataset import Pairs, Sources
    from geo2map.train.pictures import list_places
    from geo2map.train.trainer import Trainer

    places = list_places(asked.elsewhere_folder, asked.elsewhere_aside) if asked.elsewhere_folder else {}
    taught = _taught(files, config.teacher, asked, world) if config.teacher else None
    trainer = Trainer(Pairs(Sources(files, places, taught), config, style), world)
    if asked.resume:
        trainer.load(asked.checkpoint)
    elif asked.start:
        trainer.start_from(load_weights(find_model(asked.start)))
    return trainer


def _config(checkpoint: Path | None, preset: Any, **choices: Any) -> TrainConfig:
    """The preset's configuration or the checkpoint's, with what was given on the command line."""
    from geo2map.train.config import TrainConfig, make_config
    from geo2map.train.trainer import load_checkpoint

    if checkpoint is None:
        return make_config(preset or "geo2map", **choices)
    saved = TrainConfig.from_json(load_checkpoint(checkpoint)["config"])
    return saved.with_choices(**choices)


def _palette(asked: str, files: list[PairFile], config: TrainConfig) -> Palette | None:
    from geo2map.colour.palette import MAPS_PALETTE, load_palette
    from geo2map.train.dataset import recognise_palette

    if asked == "auto":
        return recognise_palette(files, config.direction)
    return {"none": None, "maps": MAPS_PALETTE}[asked] if asked in ("none", "maps") else load_palette(Path(asked))


def _cost(trainer: Trainer) -> dict[str, float]:
    """What the network asked for costs where it is used."""
    import torch

    from geo2map.model import gflop_per_tile
    from geo2map.nn import build

    config = trainer.config.generator
    with torch.device("meta"):
        network = build("unet", **config)
    parameters = sum(part.numel() for part in network.parameters())
    return {"gflop_per_tile": round(gflop_per_tile(**config), 3), "margin": network.margin, "parameters": parameters}


def _taught(files: list[PairFile], teacher: str, asked: Asked, world: World) -> Path:
    """The teacher's output for all pictures, made by the process that leads."""
    from geo2map.model import find_model
    from geo2map.train.teacher import teach

    folder = asked.teacher_cache or asked.run_folder / "teacher"
    if world.leads:
        with Bar() as bar:
            teach(files, find_model(teacher), folder, world.device, lambda done, total: bar("teacher", done, total))
    world.wait()
    return folder


def _teller(bar: Bar) -> Callable[[Progress], None]:
    """Tells a terminal by the bar (which adds rate and time left), a log by a line a minute."""
    told = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal told
        note = " ".join(f"{name} {value:.3g}" for name, value in progress.losses.items())
        bar("steps", progress.step, progress.total, note)
        if not sys.stderr.isatty() and time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            click.echo(str(progress), err=True)

    return tell
