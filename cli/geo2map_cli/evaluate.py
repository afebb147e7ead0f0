"""`geo2map evaluate`: how good a model is, in numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
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
PROTOCOLS: dict[str, tuple[ProtocolName, ...]] = {
    "native": ("native",),
    "scene": ("scene",),
    "maps256": ("maps256", "maps256-reduced"),
}


@click.command("evaluate")
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
    protocol: str | None,
    baseline: tuple[str, ...],
    weights: Path | None,
    as_json: bool,
    markdown: bool,
    write_card: bool,
    **options: Any,
) -> None:
    """Measure a model on held-out pairs, beside a picture of constant colour and other models.

    The classes are those of the model's palette; for a2b models without one, those of the maps pictures. A picture
    NAME_valid.png beside NAME.jpg says what is known of it, a byte a pixel: the sum of 1 road, 2 building, 4 water,
    8 park; only that is scored. Where DIR holds one folder of pairs a place, each place has its row.
    """
    if as_json and markdown:
        raise click.UsageError("--json and --markdown both asked: choose one")
    from geo2map.engine import load_engine
    from geo2map.evaluate import constant_baseline, table, to_json

    chosen = {name: options.pop(name) for name in ("direction", "limit", "margin", "seams")}
    places = _places(data)
    protocols = PROTOCOLS[protocol or ("scene" if len(places) > 1 else "native")]
    engine = load_engine(**options)
    config = _config(engine.card, **chosen)
    inception = _inception(weights, engine)
    rows = _rows(places, engine, config, protocols, inception)
    if write_card:
        _write_card(options["model"], rows)
    for model in baseline:
        other = load_engine(**options | {"model": model})
        own = _config(other.card, **chosen | {"direction": config.direction})
        rows += _rows(places, other, replace(own, palette=config.palette), protocols, inception)
    constant = constant_baseline([file for files in places.values() for file in files], config)
    plain = replace(config, name=constant.name, size_multiple=1, margin=0, seams=0)
    rows += _rows(places, constant, plain, protocols[:1], inception)  # the same in all of them
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
        colours=card.colours,
        limit=limit,
        name=card.name,
        seams=seams,
        tile=max(TILE, 2 * card.size_multiple) if card.exact else TILE,
    )


def _places(data: Path) -> dict[str, list[PairFile]]:
    """The pairs of each place; those of a folder that is no folder of places have no place, ""."""
    from geo2map.train.pictures import has_places, list_pairs, list_places

    return list_places(data) if has_places(data) else {"": list_pairs(data)}


def _rows(
    places: Mapping[str, Sequence[PairFile]],
    translator: Translator,
    config: EvaluateConfig,
    protocols: Sequence[ProtocolName],
    inception: Inception | None,
) -> list[Row]:
    from geo2map.evaluate import evaluate

    rows = []
    for protocol, (place, files) in product(protocols, places.items()):
        with Bar() as bar:
            distances = inception.distances() if inception else None
            row = evaluate(files, translator, replace(config, protocol=protocol), bar, distances)
            rows.append(replace(row, place=place))
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


def _write_card(model: str, rows: Sequence[Row]) -> None:
    """By protocol; where there are places, by place and with the mean over them."""
    from geo2map.evaluate import reports
    from geo2map.model import find_model, load_card, replace_card

    path = find_model(model)
    card = load_card(path)
    measured = {each.get("place", each["protocol"]): each for each in reports(rows)}
    replace_card(path, replace(card, metrics=card.metrics | measured))
