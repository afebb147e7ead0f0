"""`geo2map train`: pairs in, a model file out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import Bar, report_options

if TYPE_CHECKING:
    from geo2map.train.trainer import Trainer


@click.command("train")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .safetensors.")
@click.option("--name", help="Of the model. [default: the file's name]")
@click.option("--direction", type=click.Choice(["a2b", "b2a"]), default="a2b", show_default=True)
@click.option("--zoom", type=click.IntRange(0, 24), default=17, show_default=True, help="Of the pictures.")
@click.option("--ground-resolution", type=float, default=0.905, show_default=True, help="Metres per pixel.")
@click.option("--steps", type=click.IntRange(1), default=5_000, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=6, show_default=True, help="Pairs a step.")
@click.option("--crop", type=click.IntRange(32), default=320, show_default=True, help="Side of a crop in px.")
@click.option("--lambda-l1", type=float, default=100.0, show_default=True)
@click.option("--lambda-gan", type=float, default=1.0, show_default=True)
@click.option("--balance", type=float, default=0.4, show_default=True, help="How much L1 favours rare classes.")
@click.option("--adversarial-from", type=click.FloatRange(0, 1), default=0.6, show_default=True, help="Share of steps.")
@click.option("--learning-rate", type=float, default=3e-4, show_default=True)
@click.option("--autocast", type=click.Choice(["bf16", "none"]), default="bf16", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="[default: OUT with .checkpoint]")
@click.option("--minutes", type=float, default=5.0, show_default=True, help="Between checkpoints.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [default: all allowed]")
@report_options
def command(
    data: Path,
    out: Path,
    name: str | None,
    zoom: int,
    ground_resolution: float,
    checkpoint: Path | None,
    minutes: float,
    resume: bool,
    device: str,
    threads: int | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a pix2pix generator on the pairs in DATA (side-by-side A|B pictures, as in the `maps` data set)."""
    import torch

    from geo2map.engine.device import available_threads, choose_device
    from geo2map.train.config import TrainConfig
    from geo2map.train.dataset import Pairs, list_pictures
    from geo2map.train.export import export
    from geo2map.train.trainer import Trainer

    torch.set_num_threads(threads or available_threads())
    trainer = Trainer(Pairs(list_pictures(data), TrainConfig(**choices)), choose_device(device))
    checkpoint = checkpoint or out.with_suffix(".checkpoint")
    if resume:
        trainer.load(checkpoint)
    started = time.monotonic()
    with Bar() as bar:
        trainer.on_step = lambda run: _tell(run, bar)
        trainer.run(checkpoint, minutes)
    hours = {"hours": round((time.monotonic() - started) / 3600, 2), "device": str(trainer.device)}
    facts = {"training": hours}
    card = export(trainer, out, name=name or out.stem, zoom=zoom, ground_resolution=ground_resolution, facts=facts)
    summary = {"out": out.as_posix(), "name": card.name, "steps": trainer.step, **trainer.losses}
    click.echo(json.dumps(summary) if as_json else f"{out}: {card.name} after {trainer.step} steps")


def _tell(trainer: Trainer, bar: Bar) -> None:
    bar("steps", trainer.step, trainer.config.steps)
