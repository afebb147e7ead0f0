"""`geo2map evaluate`: how good a model is, in numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import engine_options
from geo2map_cli.reporting import Bar, report_options, show_notes

if TYPE_CHECKING:
    from geo2map.engine import Engine
    from geo2map.evaluate import Direction, EvaluateConfig, ProtocolName, Row
    from geo2map.evaluate.inception import Inception
    from geo2map.model import ModelCard
    from geo2map.protocols import Translator
    from geo2map.train.pictures import PairFile

log = logging.getLogger(__name__)
PROTOCOLS: dict[str, tuple[ProtocolName, ...]] = {"native": ("native",), "maps256": ("maps256", "maps256-reduced")}


@click.command("evaluate")
@click.option(
    "--data",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of side-by-side A|B pictures, such as maps/val, or of two folders A and B.",
)
@click.option(
    "--direction",
    type=click.Choice(["a2b", "b2a"]),
    help="a2b translates the left half and compares with the right; b2a the other way round. [default: the model's]",
)
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="native",
    show_default=True,
    help="native: full size. maps256: at 256 px as in the literature, one row reduced after translation, one before.",
)
@click.option("--baseline", multiple=True, metavar="MODEL", help="Another model in the same table; repeatable.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N pictures.")
@click.option("--margin", type=click.IntRange(0), help="Context px around pictures and tiles. [default: the model's]")
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
    help="torch-fidelity's Inception weights, for FID and KID. [default: torch.hub's cache, where it has them]",
)
@engine_options
@report_options
@click.option("--markdown", is_flag=True, help="Print a Markdown table; the default.")
@click.option("--write-card", is_flag=True, help="Also write the figures into the model file's card.")
def command(
    data: Path,
    protocol: str,
    baseline: tuple[str, ...],
    weights: Path | None,
    as_json: bool,
    markdown: bool,
    write_card: bool,
    **options: Any,
) -> None:
    """Measure a model on held-out pairs, beside a picture of constant colour and other models.

    The classes are those of the model's palette; for a2b models without one, those of the maps pictures.
    """
    if as_json and markdown:
        raise click.UsageError("--json and --markdown both asked: choose one")
    from geo2map.engine import load_engine
    from geo2map.evaluate import constant_baseline, table, to_json
    from geo2map.train.pictures import list_pairs

    chosen = {name: options.pop(name) for name in ("direction", "limit", "margin", "seams")}
    files, protocols = list_pairs(data), PROTOCOLS[protocol]
    engine = load_engine(**options)
    config = _config(engine.card, **chosen)
    inception = _inception(weights, engine)
    rows = _rows(files, engine, config, protocols, inception)
    if write_card:
        _write_card(options["model"], {row.protocol: row.report() for row in rows})
    for model in baseline:
        other = load_engine(**options | {"model": model})
        own = _config(other.card, **chosen | {"direction": config.direction})
        rows += _rows(files, other, replace(own, palette=config.palette), protocols, inception)
    constant = constant_baseline(files, config)
    plain = replace(config, name=constant.name, size_multiple=1, margin=0, seams=0)
    rows += _rows(files, constant, plain, protocols[:1], inception)  # the same in all of them
    click.echo(to_json(rows) if as_json else table(rows))


def _config(
    card: ModelCard, direction: Direction | None, limit: int | None, margin: int | None, seams: int
) -> EvaluateConfig:
    """What suits a model, and a word on stderr where the choice does not."""
    from geo2map.colour.palette import MAPS_PALETTE
    from geo2map.evaluate import TILE, EvaluateConfig
    from geo2map.plan import choose_margin

    trained = card.direction
    direction = direction or trained
    palette = card.palette if direction == trained else None
    context, notes = choose_margin(card, margin)
    if direction != trained:
        notes += (f"warning: {card.name} was trained {trained}, and is measured {direction}",)
    show_notes(notes)
    return EvaluateConfig(
        size_multiple=card.size_multiple,
        margin=context,
        palette=palette or (MAPS_PALETTE if direction == "a2b" else None),
        direction=direction,
        limit=limit,
        name=card.name,
        seams=seams,
        tile=max(TILE, 2 * card.size_multiple) if card.exact else TILE,
    )


def _rows(
    files: Sequence[PairFile],
    translator: Translator,
    config: EvaluateConfig,
    protocols: Sequence[ProtocolName],
    inception: Inception | None,
) -> list[Row]:
    from geo2map.evaluate import evaluate

    rows = []
    for protocol in protocols:
        with Bar() as bar:
            distances = inception.distances() if inception else None
            rows.append(evaluate(files, translator, replace(config, protocol=protocol), bar, distances))
    return rows


def _inception(asked: Path | None, engine: Engine) -> Inception | None:
    """The network of FID and KID, where its weights are at hand."""
    from geo2map.errors import Geo2MapError
    from geo2map.evaluate.inception import WEIGHTS, Inception, find_weights

    weights = asked or find_weights()
    if weights is None:
        log.info("FID and KID left out: %s is not in torch.hub's cache, and no --inception was given", WEIGHTS)
        return None
    try:
        return Inception(weights, engine.device)
    except Geo2MapError as error:
        if asked:
            raise
        log.warning("FID and KID left out: %s", error)
        return None


def _write_card(model: str, measured: dict[str, Any]) -> None:
    from geo2map.model import find_model, load_card, replace_card

    path = find_model(model)
    card = load_card(path)
    replace_card(path, replace(card, metrics=card.metrics | measured))
