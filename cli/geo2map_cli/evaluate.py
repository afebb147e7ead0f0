"""`geo2map evaluate`: a model's scores on held-out pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.options import model_options
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.reporting import report_options, show_notes

if TYPE_CHECKING:
    from geo2map.evaluate import ProtocolName, Row
    from geo2map.model import ModelOptions
    from geo2map.types import Direction

PROTOCOLS: dict[str, tuple[ProtocolName, ...]] = {
    "native": ("native",),
    "scene": ("scene",),
    "maps256": ("maps256", "maps256-reduced"),
}


@click.command("evaluate", cls=GroupedCommand)
@report_options
@progress_option
@click.option(
    "--data",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of side-by-side A|B pictures, such as maps/val, of two folders A and B, or of folders of places.",
)
@click.option(
    "--direction",
    type=click.Choice(["a2b", "b2a"]),
    help="a2b translates the left half and compares with the right; b2a the other way round. [default: the model's]",
)
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    help="native: full size. scene: the same, matched and filled as a renderer does. maps256: at 256 px as in the "
    "literature, one row reduced after translation, one before. [default: native; scene for places]",
)
@click.option("--baseline", multiple=True, metavar="MODEL", help="Other model for the same table; repeatable.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use only the first N pictures.")
@click.option(
    "--margin", type=click.IntRange(0), help="Pixels of context around pictures and tiles. [default: the model's]"
)
@click.option(
    "--seams",
    type=click.IntRange(0),
    default=16,
    show_default=True,
    metavar="N",
    help="Pictures that are also translated in two grids of tiles.",
)
@click.option(
    "--inception",
    "weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="torch-fidelity's Inception weights, for FID and KID. [default: those in torch.hub's cache]",
)
@click.option(
    "--vectors",
    is_flag=True,
    help="Also read roads and buildings out of the translations, and measure them and what is drawn of them.",
)
@model_options
@click.option("--markdown", is_flag=True, help="Print a Markdown table; the default.")
@click.option("--write-card", is_flag=True, help="Also write the scores to the model file's card.")
def command(
    data: Path,
    protocol: str | None,
    baseline: tuple[str, ...],
    weights: Path | None,
    direction: Direction | None,
    limit: int | None,
    margin: int | None,
    seams: int,
    vectors: bool,
    model: ModelOptions,
    as_json: bool,
    markdown: bool,
    write_card: bool,
) -> None:
    """Measure a model on held-out pairs, beside a picture of constant colour and other models.

    The classes are those of the model's palette; for a2b models without one, those of the maps pictures. NAME_valid.png
    beside NAME.jpg masks its labels, a byte a pixel: the sum of 1 road, 2 building, 4 water, 8 park; only labelled
    pixels are scored. A DIR with one folder of pairs a place gives one row a place.
    """
    if as_json and markdown:
        raise click.UsageError("--json and --markdown given: pass one of them.")
    from geo2map.api.evaluating import evaluate_model
    from geo2map.evaluate import table, to_json

    with open_progress() as bar:
        found = evaluate_model(
            data,
            engine=model,
            protocols=PROTOCOLS[protocol] if protocol else None,
            baselines=baseline,
            inception=weights,
            progress=bar,
            direction=direction,
            limit=limit,
            margin=margin,
            seams=seams,
            vectors=vectors,
        )
    show_notes(found.notes)
    if write_card:
        _write_card(model.model, found.own)
    click.echo(to_json(found.rows) if as_json else table(found.rows))


def _write_card(model: str | Path, rows: Sequence[Row]) -> None:
    """Metrics by protocol; of several places by place, with their mean."""
    from geo2map.evaluate import reports
    from geo2map.model import find_model, load_card, replace_card

    path = find_model(model)
    card = load_card(path)
    measured = {each.get("place", each["protocol"]): each for each in reports(rows)}
    replace_card(path, replace(card, metrics=card.metrics | measured))
