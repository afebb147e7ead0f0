"""`geo2map models`: models listed, shown, imported, exported and modified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import GroupedCommand, expert_option
from geo2map_cli.progress import Bar
from geo2map_cli.reporting import json_text, report_options, show
from geo2map_cli.storing import out_option, overwrite_option

if TYPE_CHECKING:
    from geo2map.types import WeightsDtype


class _Models(click.Group):
    """Commands whose options are listed by group."""

    command_class = GroupedCommand


model_file_option = out_option("Model file (.safetensors) to write.", kind=click.Path(dir_okay=False, path_type=Path))


@click.group("models", cls=_Models)
def command() -> None:
    """List, show, import, export, average, calibrate and sharpen models."""


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
    """Show the card of MODEL, a packaged model's name or a file: requirements, training, scores."""
    from geo2map.model import ModelDescription, find_model

    show(ModelDescription.of(find_model(model)), as_json)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@model_file_option
@click.option("--name", help="Name of the model. [default: OUT's name]")
@click.option("--zoom", type=click.IntRange(0, 24), help="Zoom of the training pictures. [default: 16]")
@click.option(
    "--ground-resolution",
    type=click.FloatRange(0, min_open=True),
    help="Metres per pixel of the training pictures. [default: 1.9 at zoom 16]",
)
@click.option(
    "--colours-from", metavar="MODEL", help="Model with the same training imagery, to take its colour statistics."
)
@click.option("--licence", help="Licence of the weights. [default: unknown]")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="Number format of the weights in OUT. fp16 is half as large.",
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
            raise click.UsageError(f"--colours-from {colours_from}: its card has no colours; name another model.")
    import_model(file, out, dtype=dtype, **facts)
    show(ModelDescription.of(out), as_json)


def _parse_shares(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    try:
        return None if value is None else tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers: give one a model, e.g. 2,1,1.") from None


@command.command("average")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@model_file_option
@click.option("--shares", callback=_parse_shares, metavar="A,B,...", help="Weight of each model. [default: equal]")
@click.option("--name", help="Name of the model. [default: the first's]")
@overwrite_option
@report_options
def average(models: tuple[str, ...], out: Path, as_json: bool, **choices: Any) -> None:
    """Average the weights of MODELs that end the same training, e.g. with and without discriminator.

    Measure the result with geo2map evaluate: averages of independently trained models do not work.
    """
    from geo2map.model import ModelDescription, average_models, find_model

    average_models([find_model(model) for model in models], out, **choices)
    show(ModelDescription.of(out), as_json)


def _parse_class_bias(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, float] | None:
    try:
        return {name: float(more) for name, more in (part.split("=") for part in value.split(","))} if value else None
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a list of classes and numbers: give e.g. park=1.2,road=0.5."
        ) from None


@command.command("calibrate")
@click.argument("model")
@model_file_option
@click.option(
    "--inverse-temperature", "--certainty", type=float, default=1.0, show_default=True, help="Factor of class scores."
)
@click.option(
    "--class-bias", "--favour", callback=_parse_class_bias, metavar="CLASS=X,...", help="Summand of a class's score."
)
@click.option(
    "--class-bias-elsewhere",
    "--favour-elsewhere",
    callback=_parse_class_bias,
    metavar="CLASS=X,...",
    help="The same, on top, for scenes whose colours differ from the training's. [default: the card's]",
)
@click.option("--data", type=click.Path(path_type=Path), help="Pairs to fit the temperature of the confidence on.")
@click.option("--validation", type=click.Path(path_type=Path), help="List of the pairs of --data to take.")
@click.option("--elsewhere", type=click.Path(path_type=Path), help="The same of other places, a folder for each.")
@click.option("--elsewhere-aside", type=click.Path(path_type=Path), help="List of the pairs of --elsewhere to take.")
@overwrite_option
@report_options
def calibrate(
    model: str,
    out: Path,
    data: Path | None,
    validation: Path | None,
    elsewhere: Path | None,
    elsewhere_aside: Path | None,
    overwrite: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Write MODEL, trained with --legend, with another inverse temperature and class biases. Costs no speed.

    Choose them on held-out pairs, and measure the effect with geo2map evaluate. With --data or --elsewhere, the
    confidence of --layer confidence gets a temperature of its own, so that 80 percent is right four times in five;
    give pairs that training did not see.

    \b
    geo2map models calibrate m.safetensors --out c.safetensors --data maps/train --validation aside.txt
    """
    from geo2map.api.calibrating import CalibrationPairs, ScoreChanges, calibrate_on_pairs
    from geo2map.model import ModelDescription, find_model

    pairs = CalibrationPairs(data=data, validation=validation, elsewhere=elsewhere, elsewhere_aside=elsewhere_aside)
    changed = ScoreChanges(**changes)
    with Bar() as bar:
        calibrate_on_pairs(find_model(model), out, changes=changed, pairs=pairs, overwrite=overwrite, progress=bar)
    show(ModelDescription.of(out), as_json)


@command.command("crispen")
@click.argument("model")
@model_file_option
@click.option("--sharpen", type=float, default=1.0, show_default=True, help="Amount of unsharp masking; 0 is none.")
@click.option("--sigma", type=float, default=2.5, show_default=True, help="Sigma of unsharp masking, px.")
@click.option("--commit", type=float, default=0.8, show_default=True, help="Strength of palette commitment, 0 to 1.")
@click.option(
    "--softness",
    type=float,
    default=30.0,
    show_default=True,
    help="Softness of palette commitment, squared grey levels.",
)
@overwrite_option
@report_options
def crispen(model: str, out: Path, as_json: bool, **choices: Any) -> None:
    """Write MODEL with a last layer that sharpens borders and moves colours towards its palette.

    Its weights are unchanged. Sharpening widens the margin by a few pixels. Measure the effect with geo2map evaluate.
    """
    from geo2map.model import ModelDescription, find_model, sharpen_model

    sharpen_model(find_model(model), out, **choices)
    show(ModelDescription.of(out), as_json)


@command.command("export")
@click.argument("model")
@click.option("--onnx", type=click.Path(dir_okay=False, path_type=Path), help="ONNX file to write.")
@click.option("--mlm", type=click.Path(dir_okay=False, path_type=Path), help="STAC item (.json) to write.")
@expert_option("--tile", type=click.IntRange(32), help="Side of the ONNX file's tiles, px. [default: by the margin]")
@overwrite_option
def export_(model: str, onnx: Path | None, mlm: Path | None, tile: int | None, overwrite: bool) -> None:
    """Write MODEL for other programs: onnxruntime and QGIS plugins (--onnx), catalogues of models (--mlm).

    The ONNX file is the network alone: tiles have to overlap and to be cut as its metadata say. The STAC item names the
    model file, and the ONNX file if it is written with it; keep them in one folder.

    \b
    geo2map models export sat2map --onnx sat2map.onnx --mlm sat2map.json
    """
    from geo2map.api.exporting import export_model

    for path in export_model(model, onnx=onnx, mlm=mlm, tile=tile, overwrite=overwrite):
        click.echo(path)
