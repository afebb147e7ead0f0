"""`geo2map evaluate`: how good a model is, in numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import Bar, model_options, report_options

if TYPE_CHECKING:
    from geo2map.engine import Engine
    from geo2map.evaluate import Direction, ProtocolName, Row


@click.command("evaluate")
@click.option(
    "--data",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of side-by-side A|B pictures, such as maps/val.",
)
@click.option(
    "--direction",
    type=click.Choice(["a2b", "b2a"]),
    default="a2b",
    show_default=True,
    help="a2b translates the left half and compares with the right; b2a the other way round.",
)
@click.option(
    "--protocol",
    type=click.Choice(["native", "maps256"]),
    default="native",
    show_default=True,
    help="native: full size. maps256: at 256 px as in the literature, one row reduced after translation, one before.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N pictures.")
@model_options
@report_options
@click.option("--markdown", is_flag=True, help="Print a Markdown table; the default.")
@click.option("--write-card", is_flag=True, help="Also write the figures into the model file's card.")
def command(
    folder: Path,
    direction: Direction,
    protocol: str,
    limit: int | None,
    as_json: bool,
    markdown: bool,
    write_card: bool,
    **hardware: Any,
) -> None:
    """Measure a model on held-out pairs, beside a picture of constant land colour.

    The classes are those of the model's palette; for a2b models without one, those of the maps pictures.
    """
    if as_json and markdown:
        raise click.UsageError("--json and --markdown both asked: choose one")
    from geo2map.engine import load_engine
    from geo2map.evaluate import table, to_json

    engine = load_engine(**hardware)
    names: tuple[ProtocolName, ...] = ("native",) if protocol == "native" else ("maps256", "maps256-reduced")
    scored = [_rows(folder, engine, name, direction, limit) for name in names]
    rows = [*(found[0] for found in scored), *scored[0][1:]]  # the constant picture's row is the same in both
    if write_card:
        _write_card(hardware["model"], {row.protocol: row.report() for row in rows[: len(names)]})
    click.echo(to_json(rows) if as_json else table(rows))


def _write_card(model: str, measured: dict[str, Any]) -> None:
    from geo2map.model import find_model, load_card, load_weights, save_model

    path = find_model(model)
    card = load_card(path)
    save_model(path, load_weights(path), replace(card, metrics=card.metrics | measured))


def _rows(
    folder: Path, engine: Engine, protocol: ProtocolName, direction: Direction, limit: int | None
) -> tuple[Row, ...]:
    from geo2map.evaluate import EvaluateConfig, evaluate
    from geo2map.palette import MAPS_PALETTE

    card = engine.card
    palette = (card.palette or MAPS_PALETTE) if direction == "a2b" else None
    config = EvaluateConfig(card.size_multiple, card.margin, palette, protocol, direction, limit, card.name)
    with Bar() as bar:
        return evaluate(folder, engine, config, bar)
