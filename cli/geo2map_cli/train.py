"""`geo2map train`: pairs in, a model file out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import Bar, F, report_options, stack

if TYPE_CHECKING:
    from geo2map.palette import Palette
    from geo2map.train.config import TrainConfig
    from geo2map.train.pictures import PairFile
    from geo2map.train.run import Progress
    from geo2map.train.trainer import Trainer

TELL_EVERY = 60.0  # seconds, where there is no terminal


def whole_numbers(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """A list of whole numbers, joined by commas."""
    try:
        return None if value is None else tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers: give one a level, as 32,64,128.") from None


def recipe_options(function: F) -> F:
    """Every choice of `geo2map.train.config.TrainConfig`; what is not given is the preset's."""
    return stack(
        click.option("--direction", type=click.Choice(["a2b", "b2a"]), help="Which side is the input. [a2b]"),
        click.option("--steps", type=click.IntRange(1), help="Optimiser steps in all. [5000]"),
        click.option("--epochs", type=float, help="Passes over all pairs in all, instead of steps. [pix2pix: 200]"),
        click.option("--decay-from", type=click.FloatRange(0, 1), help="Linear decay from this share on. [0.5]"),
        click.option("--batch", type=click.IntRange(1), help="Pairs a step in each process. [6; 1]"),
        click.option("--resize", type=click.IntRange(32), help="Resize pictures to this side first. [no; 286]"),
        click.option("--crop", type=click.IntRange(32), help="Side of a crop in px. [320; 256]"),
        click.option("--rotate/--no-rotate", default=None, help="Quarter turns. [yes; no]"),
        click.option("--scale-jitter", type=click.FloatRange(1), help="Crops up to so much larger. [1.2; 1]"),
        click.option("--photometric", type=click.FloatRange(0), help="Jitter of the input's light. [0.3; 0]"),
        click.option("--ramp", type=click.FloatRange(0, 1), help="Jitter and holes rise over this share. [0]"),
        click.option("--holes", type=click.FloatRange(0, 1), help="Share of crops with a scene's rim. [0]"),
        click.option("--rematch", type=click.FloatRange(0, 1), help="Share matched picture by picture. [0]"),
        click.option("--elsewhere-share", "elsewhere", type=click.FloatRange(0, 1), help="Of other places. [0.3]"),
        click.option("--widths", callback=whole_numbers, help="Channels of each level. [32,64,128,256,256]"),
        click.option("--residual-blocks", callback=whole_numbers, help="Of each level. [0,0,2,2,0]"),
        click.option("--flatten", type=click.IntRange(0), help="Levels of JPEG noise off the map. [6; 0]"),
        click.option("--norm", type=click.Choice(["batch", "renorm"]), help="Normalisation. [batch]"),
        click.option("--gan-mode", type=click.Choice(["bce", "lsgan", "hinge"]), help="Adversarial loss. [bce]"),
        click.option("--discriminator-width", type=click.IntRange(1), help="Channels. [32; 64]"),
        click.option("--discriminator-layers", type=click.IntRange(1), help="Of stride 2, and one more. [3]"),
        click.option("--adversarial-from", type=click.FloatRange(0, 1), help="Share of the run. [0.6; 0]"),
        click.option("--lambda-l1", type=click.FloatRange(0), help="Weight of L1. [100]"),
        click.option("--lambda-gan", type=click.FloatRange(0), help="Weight of the GAN; 0 is L1 alone. [1]"),
        click.option("--lambda-features", type=click.FloatRange(0), help="Of feature matching. [0]"),
        click.option("--lambda-teacher", type=click.FloatRange(0), help="Weight of L1 to the teacher's output. [50]"),
        click.option("--teacher-commit", type=click.FloatRange(0, 1), help="How far to flatten its output. [0]"),
        click.option("--lambda-commit", type=click.FloatRange(0), help="Of choosing a palette colour. [0]"),
        click.option("--border", type=click.FloatRange(0), help="How much more L1 counts at class borders. [0]"),
        click.option("--balance", type=click.FloatRange(0), help="How much L1 favours rare classes. [0.2; 0]"),
        click.option("--learning-rate", type=float, help="Adam's. [3e-4; 2e-4]"),
        click.option("--ema", type=click.FloatRange(0, 1), help="Moving average of the weights. [0.998; 0]"),
        click.option("--autocast", type=click.Choice(["bf16", "fp16", "none"]), help="[bf16; none]"),
        click.option("--seed", type=int, help="Of everything random. [0]"),
    )(function)


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
    from geo2map.processors import available_threads
    from geo2map.train.world import open_world

    torch.set_num_threads(options.pop("threads") or available_threads())
    if options.pop("deterministic"):
        torch.use_deterministic_algorithms(True)
    with open_world(choose_device(options.pop("device"))) as world:
        summary = _train(data, out, world, **options)
        if world.leads:
            words = f"{out}: {summary['name']} after {summary['steps']} steps, {summary['seconds']:.0f} s"
            click.echo(json.dumps(summary) if as_json else words if summary["finished"] else f"stopped; {words}")


def _train(
    data: Path,
    out: Path,
    world: Any,
    *,
    name: str | None,
    zoom: int | None,
    ground_resolution: float | None,
    validation: Path | None,
    palette: str,
    start: str | None,
    folder: Path | None,
    place: str | None,
    elsewhere_folder: Path | None,
    elsewhere_aside: Path | None,
    teacher_cache: Path | None,
    minutes: float,
    resume: bool,
    until: int | None,
    **choices: Any,
) -> dict[str, Any]:
    from geo2map.train.dataset import Pairs, Sources
    from geo2map.train.pictures import list_places, list_splits, read_facts
    from geo2map.train.run import Run, train
    from geo2map.train.trainer import Trainer

    folder = folder or out.with_suffix(".run")
    known_zoom, known_resolution = read_facts(data)
    files, kept_aside = list_splits(data, validation)
    config = _config(folder / "checkpoint.pt" if resume else None, **choices)
    style = _palette(palette, files, config)
    places = list_places(elsewhere_folder, elsewhere_aside) if elsewhere_folder else {}
    taught = _taught(files, config.teacher, teacher_cache or folder / "teacher", world) if config.teacher else None
    trainer = Trainer(Pairs(Sources(files, places, taught), config, style), world)
    cost = _cost(trainer)
    if world.leads:
        click.echo(
            "{gflop_per_tile:.2f} GFLOP a tile of 256 px, margin {margin} px, {parameters} weights".format(**cost),
            err=True,
        )
    if resume:
        trainer.load(folder / "checkpoint.pt")
    elif start:
        _start_from(trainer, start)
    started = time.monotonic()
    with Bar() as bar:
        samples = Pairs(kept_aside[:: max(1, len(kept_aside) // 8)], config, style) if kept_aside else None
        run = Run(folder=folder, minutes=minutes, until=until, samples=samples, tell=_teller(bar))
        card = train(
            trainer,
            run,
            out,
            name=name or out.stem,
            zoom=known_zoom if zoom is None else zoom,
            ground_resolution=ground_resolution or known_resolution,
            training={"started_from": start} if start else {},
            places=(place,) if place else (),
        )
    summary = {"out": out.as_posix(), "name": name or out.stem, "finished": card is not None, "steps": trainer.step}
    return summary | cost | {"seconds": time.monotonic() - started, **trainer.losses}


def _config(checkpoint: Path | None, preset: Any, **choices: Any) -> TrainConfig:
    """The preset's configuration or the checkpoint's, with what was given on the command line."""
    from geo2map.train.config import TrainConfig, make_config
    from geo2map.train.trainer import load_checkpoint

    if checkpoint is None:
        return make_config(preset or "geo2map", **choices)
    saved = TrainConfig.from_json(load_checkpoint(checkpoint)["config"])
    return saved.with_choices(**choices)


def _palette(asked: str, files: list[PairFile], config: TrainConfig) -> Palette | None:
    from geo2map.palette import MAPS_PALETTE, load_palette
    from geo2map.train.dataset import recognise_palette

    if asked == "auto":
        return recognise_palette(files, config.direction)
    return {"none": None, "maps": MAPS_PALETTE}[asked] if asked in ("none", "maps") else load_palette(Path(asked))


def _start_from(trainer: Trainer, model: str) -> None:
    from geo2map.model import find_model, load_weights

    trainer.start_from(load_weights(find_model(model)))


def _cost(trainer: Trainer) -> dict[str, float]:
    """What the network asked for costs where it is used."""
    from geo2map.model import gflop_per_tile

    network = trainer.generator
    parameters = sum(part.numel() for part in network.parameters())
    cost = gflop_per_tile(**trainer.config.generator)
    return {"gflop_per_tile": round(cost, 3), "margin": network.margin, "parameters": parameters}


def _taught(files: list[PairFile], teacher: str, folder: Path, world: Any) -> Path:
    """The teacher's output for all pictures, made by the process that leads."""
    from geo2map.model import find_model
    from geo2map.train.teacher import teach

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
