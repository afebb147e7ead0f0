"""`geo2map models`: what models there are, what is in them, and bringing in others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import overwrite_option
from geo2map_cli.reporting import json_text, report_options, show

if TYPE_CHECKING:
    from geo2map.types import WeightsDtype


@click.group("models")
def command() -> None:
    """List, show, import, average, calibrate and crispen models."""


@command.command("list")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@report_options
def list_(folder: Path | None, as_json: bool) -> None:
    """List the packaged models, or the .safetensors files in FOLDER, one a line."""
    from geo2map.errors import ModelFileError
    from geo2map.model import ModelDescription, models_in, packaged_models

    found = []
    for path in (packaged_models() if folder is None else models_in(folder)).values():
        try:
            found.append(ModelDescription.of(path))
        except ModelFileError as error:
            click.echo(f"warning: {error}", err=True)
    if as_json:
        click.echo(json_text([model.to_dict() for model in found]))
    else:
        click.echo("\n".join(model.line for model in found) or "none")


@command.command("show")
@click.argument("model")
@report_options
def show_(model: str, as_json: bool) -> None:
    """Show the card of MODEL, a packaged model's name or a file: what it needs, how it was made, how good it is."""
    from geo2map.model import ModelDescription, find_model

    show(ModelDescription.of(find_model(model)), as_json)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .safetensors.")
@click.option("--name", help="Of the model. [default: OUT's name]")
@click.option("--zoom", type=click.IntRange(0, 24), help="Of the training pictures. [default: 16]")
@click.option(
    "--ground-resolution",
    type=click.FloatRange(0, min_open=True),
    help="Metres per pixel of the training pictures. [default: 1.9 at zoom 16]",
)
@click.option(
    "--colours-from", metavar="MODEL", help="A model of the same training imagery, whose colours scenes are matched to."
)
@click.option("--licence", help="Of the weights. [default: unknown]")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="Of the weights in OUT. fp16 is half as large.",
)
@overwrite_option
@report_options
def import_(file: Path, out: Path, colours_from: str | None, dtype: WeightsDtype, as_json: bool, **facts: Any) -> None:
    """Import FILE, a U-Net generator of pytorch-CycleGAN-and-pix2pix such as latest_net_G.pth.

    The defaults suit weights trained on the maps pictures by pix2pix's own recipe, which makes 286 px of 600. Networks
    with instance norm translate tile by tile, as they were trained; so do the others with --mode faithful. Nothing in
    FILE is run: a pickle that holds more than tensors is refused.

    \b
    geo2map models import latest_net_G.pth --out m.safetensors --colours-from sat2map
    """
    from geo2map.model import ModelDescription, find_model, import_model, load_card

    facts = {key: value for key, value in facts.items() if value is not None}
    if colours_from is not None:
        facts["colours"] = load_card(find_model(colours_from)).colours
        if facts["colours"] is None:
            raise click.UsageError(f"--colours-from {colours_from}: its card has no colours either")
    import_model(file, out, dtype=dtype, **facts)
    show(ModelDescription.of(out), as_json)


def _parse_shares(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    try:
        return None if value is None else tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers: give one a model, e.g. 2,1,1.") from None


@command.command("average")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .safetensors.")
@click.option("--shares", callback=_parse_shares, metavar="A,B,...", help="Of each model. [default: equal]")
@click.option("--name", help="Of the model. [default: the first's]")
@overwrite_option
@report_options
def average(models: tuple[str, ...], out: Path, as_json: bool, **choices: Any) -> None:
    """Average the weights of MODELs, ends of one training, such as some with and some without discriminator.

    Measure the mean with geo2map evaluate: of models that were trained apart it draws nonsense.
    """
    from geo2map.model import ModelDescription, average_models, find_model

    average_models([find_model(model) for model in models], out, **choices)
    show(ModelDescription.of(out), as_json)


def _parse_favour(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, float]:
    try:
        return {name: float(more) for name, more in (part.split("=") for part in value.split(","))} if value else {}
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of classes and numbers: give park=1.2,road=0.5.") from None


@command.command("calibrate")
@click.argument("model")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .safetensors.")
@click.option("--certainty", type=float, default=1.0, show_default=True, help="What scores are multiplied by.")
@click.option("--favour", callback=_parse_favour, metavar="CLASS=X,...", help="What is added to a class's score.")
@overwrite_option
@report_options
def calibrate(model: str, out: Path, as_json: bool, **choices: Any) -> None:
    """Write MODEL, trained with --legend, with classes drawn more certainly or sooner. It costs nothing.

    Choose on pictures kept aside, and measure what it is worth with geo2map evaluate.
    """
    from geo2map.model import ModelDescription, calibrate_model, find_model

    calibrate_model(find_model(model), out, **choices)
    show(ModelDescription.of(out), as_json)


@command.command("crispen")
@click.argument("model")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .safetensors.")
@click.option("--sharpen", type=float, default=1.0, show_default=True, help="Unsharp masking: how much. 0 is none.")
@click.option("--sigma", type=float, default=2.5, show_default=True, help="Unsharp masking: the blur's, in px.")
@click.option("--commit", type=float, default=0.8, show_default=True, help="How far colours go to the palette's.")
@click.option("--softness", type=float, default=30.0, show_default=True, help="Of that choice, in squared grey levels.")
@overwrite_option
@report_options
def crispen(model: str, out: Path, as_json: bool, **choices: Any) -> None:
    """Write MODEL with steeper borders and colours nearer to its palette's, as the last step of its network.

    Its weights stay. Sharpening needs some pixels more around a tile. Measure what it is worth with geo2map evaluate.
    """
    from geo2map.model import ModelDescription, crispen_model, find_model

    crispen_model(find_model(model), out, **choices)
    show(ModelDescription.of(out), as_json)
