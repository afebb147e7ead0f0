"""`geo2map train`: pairs in, a model file out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import GroupedCommand, expert_option, grouped
from geo2map_cli.processors import threads_option
from geo2map_cli.progress import Silence, open_progress, progress_option
from geo2map_cli.recipe import recipe_options
from geo2map_cli.reporting import json_text, report_options
from geo2map_cli.storing import out_option

if TYPE_CHECKING:
    from geo2map.train.pace import Pace
    from geo2map.train.run import TrainingProgress

TELL_EVERY = 60.0  # seconds, where there is no terminal
EVENING, LONG = 4 * 3600, 6 * 3600  # seconds; of longer trainings users hear what an evening would do


@click.command("train", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Model file (.safetensors) to write.", kind=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", help="Name of the model. [default: the file's name]")
@click.option("--zoom", type=click.IntRange(0, 24), help="Zoom of the pictures. [default: pairs.json's, else 17]")
@expert_option(
    "--ground-resolution", type=float, help="Metres per pixel of the pictures. [default: pairs.json's, else 0.905]"
)
@click.option("--validation", type=click.Path(path_type=Path), help="Held-out pairs: a folder, or a list of names.")
@click.option("--place", help="Place of the pictures in DATA, for the card.")
@click.option(
    "--elsewhere",
    "other_places",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Other places: a folder of pairs for each.",
)
@expert_option(
    "--elsewhere-aside", "held_out", type=click.Path(path_type=Path), help="List of PLACE/NAME to leave out of them."
)
@click.option("--teacher", metavar="MODEL", help="Also learn from this model's output for DATA (distillation).")
@expert_option("--teacher-cache", type=click.Path(path_type=Path), help="Folder for its output. [default: in --run]")
@click.option("--palette", default="auto", show_default=True, help="Palette of the map: auto, maps, none or a .tsv.")
@click.option(
    "--preset",
    type=click.Choice(["geo2map", "sat2map", "pix2pix"]),
    help="Recipe; other options override it. [geo2map]",
)
@recipe_options
@click.option("--from", "start", help="Start from the weights of this model (fine-tuning).")
@click.option(
    "--run",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for checkpoints, losses, samples. [OUT with .run]",
)
@expert_option("--minutes", type=float, default=5.0, show_default=True, help="Minutes between checkpoints.")
@click.option("--resume", is_flag=True, help="Resume from the run's checkpoint, with its options.")
@expert_option("--until", type=click.IntRange(1), help="Stop after this step; --resume continues.")
@expert_option("--early", is_flag=True, help="Also write the unfinished model to OUT at --until.")
@expert_option("--compile", "compiled", is_flag=True, help="Compile the generator: slow to start, faster on CUDA.")
@expert_option("--deterministic", is_flag=True, help="Same seed, same weights on CUDA too; slower there.")
@grouped(
    "Machine",
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
    expert_option(
        "--picture-memory",
        type=click.FloatRange(0),
        metavar="GIB",
        help="Decoded pictures to keep. [8; half of CUDA's]",
    ),
)
@threads_option
def command(data: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Train a pix2pix generator on the pairs in DATA.

    DATA holds side-by-side A|B pictures as the `maps` data set, two parallel folders A and B, or the folders train
    and val of `geo2map pairs`. In brackets: what the preset geo2map sets for a2b; after a semicolon, what pix2pix
    sets. For b2a the preset geo2map has the discriminator join early, feature matching, and no jitter of light.
    The preset sat2map uses the network and losses of the packaged model: class losses instead of a discriminator.

    \b
    geo2map train pairs/ --out mine.safetensors
    geo2map train pairs/ --out mine.safetensors --preset sat2map --from sat2map --steps 4000
    torchrun --nproc-per-node 4 -m geo2map_cli train pairs/ --out mine.safetensors
    """
    if options["steps"] is not None and options["epochs"] is not None:
        raise click.UsageError("--steps and --epochs given: pass one of them.")
    if options["early"] and options["until"] is None:
        raise click.UsageError("--early needs --until: give the step to stop after.")
    from geo2map.api.training import train_model

    with open_progress() as bar:
        teller = _teller(bar)
        summary = train_model(
            data, out, on_step=teller, on_start=_tell_cost, on_pace=_tell_pace, progress=bar, **options
        )
    if summary is None:  # another process is the main one
        return
    words = f"{out}: {summary['name']} after {summary['steps']} steps, {summary['seconds']:.0f} s"
    click.echo(json_text(summary) if as_json else words if summary["finished"] else f"stopped; {words}")


def _tell_cost(cost: dict[str, Any]) -> None:
    told = "{gflop_per_tile:.3g} GFLOP a tile of 256 px, margin {margin} px, {parameters} weights"
    click.echo(told.format(**cost), err=True)


def _tell_pace(pace: Pace) -> None:
    click.echo(str(pace), err=True)
    if pace.seconds_left > LONG:
        steps = round(EVENING * pace.steps_per_second)
        said = f"An evening of {EVENING // 3600} hours is some {steps} steps of this recipe (--steps {steps})"
        click.echo(f"{said}; what else fits into one, and what a GPU changes: docs/training.md.", err=True)


def _teller(bar: Silence) -> Callable[[TrainingProgress], None]:
    """Reports to a terminal by the bar (which adds rate and time left), to a log by a line a minute."""
    told = time.monotonic()

    def tell(progress: TrainingProgress) -> None:
        nonlocal told
        note = " ".join(f"{name} {value:.3g}" for name, value in progress.losses.items())
        bar("steps", progress.step, progress.total, note)
        if not sys.stderr.isatty() and time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            click.echo(str(progress), err=True)

    return tell
