"""`geo2map evaluate`: how good a model is, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from geo2map.types import Precision

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
@click.option("--model", default="sat2map", show_default=True, metavar="NAME_OR_FILE", help="Model to score.")
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
    help="native: full size. maps256: as in the literature, at 256 px; a row reduced after and one reduced before.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N pictures.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--precision", type=click.Choice(get_args(Precision)), default="auto", show_default=True)
@click.option("--json", "style", flag_value="json", help="Print a JSON array, with the IoU of every class.")
@click.option(
    "--markdown", "style", flag_value="markdown", default="markdown", help="Print a Markdown table (default)."
)
def command(
    folder: Path,
    model: str,
    direction: Direction,
    protocol: str,
    limit: int | None,
    style: str,
    **hardware: Any,
) -> None:
    """Scores a model on pairs of pictures, beside a picture of constant land colour.

    The classes are those of the model's palette; for a2b models without one, those of the maps pictures.
    """
    from geo2map.engine import load_engine
    from geo2map.evaluate import table, to_json

    engine = load_engine(model, **hardware)
    names: tuple[ProtocolName, ...] = ("native",) if protocol == "native" else ("maps256", "maps256-reduced")
    scored = [_rows(folder, engine, name, direction, limit) for name in names]
    rows = [*(found[0] for found in scored), *scored[0][1:]]  # the constant picture's row is the same in both
    click.echo(to_json(rows) if style == "json" else table(rows))


def _rows(
    folder: Path, engine: Engine, protocol: ProtocolName, direction: Direction, limit: int | None
) -> tuple[Row, ...]:
    from tqdm import tqdm

    from geo2map.evaluate import EvaluateConfig, evaluate
    from geo2map.palette import MAPS_PALETTE

    card = engine.card
    palette = (card.palette or MAPS_PALETTE) if direction == "a2b" else None
    config = EvaluateConfig(card.size_multiple, card.margin, palette, protocol, direction, limit, card.name)
    with tqdm(unit="picture", disable=None) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            bar.set_description(f"{stage} {card.name} {protocol}", refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        return evaluate(folder, engine, config, progress)
