"""Checks what documents state about a tile set against its tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from geo2map.checking.findings import Problem
from geo2map.grid import lnglat_bounds
from geo2map.tiles.place import HasExtent, covers, is_filled, tiles_window
from geo2map.tiles.sniff import parse_format
from geo2map.tiles.statement import Statement
from geo2map.types import LngLatBounds, Scheme, TileFormat

SIDES: dict[Scheme, str] = {"xyz": "north", "tms": "south"}


def statement_problems(
    statement: Statement, store: HasExtent, formats: Counter[TileFormat], *, exact: bool
) -> Iterator[Problem]:
    """Incorrect statements of one document.

    Args:
        store: at least one tile.
        formats: number of tiles by format, from their bytes.
        exact: whether the bounds must match the tiles; otherwise they may be larger, as for a scene with nodata.
    """
    for detail in (
        _format_error(statement, formats),
        _zooms_error(statement, (store.zooms[0], store.zooms[-1])),
        _bounds_error(statement, store, exact=exact),
        _layers_error(statement, formats),
    ):
        if detail:
            yield Problem("metadata", statement.document, detail)


def row_order_problems(statement: Statement, scheme: Scheme, fact: str = "they are counted") -> Iterator[Problem]:
    """An incorrect statement about the row order.

    Args:
        fact: clause to be continued by "from the south".
    """
    if statement.order is not None and statement.order != scheme:
        stated = f"states that rows are counted from the {SIDES[statement.order]}"
        yield Problem("metadata", statement.document, f"{stated}, but {fact} from the {SIDES[scheme]}")


def _format_error(statement: Statement, formats: Counter[TileFormat]) -> str:
    stated = parse_format(statement.format)
    total = formats.total()
    others = [f"{count} of {total} tiles are {name}" for name, count in formats.items() if name != stated]
    if stated is None or not others:
        return ""
    return f"states the format {stated}, but {' and '.join(others)}"


def _zooms_error(statement: Statement, zooms: tuple[int, int]) -> str:
    if statement.zooms is None or statement.zooms == zooms:
        return ""
    return (
        f"states zooms {statement.zooms[0]} to {statement.zooms[1]}, but the tiles have zooms {zooms[0]} to {zooms[1]}"
    )


def _bounds_error(statement: Statement, store: HasExtent, *, exact: bool) -> str:
    zoom = store.zooms[-1]
    there = lnglat_bounds(tiles_window(store.extent(zoom)), zoom)
    where = f"but the tiles of zoom {zoom} are within {_spell(there)}"
    if statement.bounds:
        box = statement.box
        if box is None or not covers(store, box) or (exact and not is_filled(store, box)):
            return f"states the bounds {_spell(statement.bounds)}, {where}"
    if statement.center and not _is_inside(statement, there):
        return f"states the centre {_spell(statement.center)}, {where}"
    return ""


def _is_inside(statement: Statement, there: LngLatBounds) -> bool:
    """Whether the centre is within the tiles, or within correct bounds."""
    longitude, latitude = statement.center[:2]
    boxes = [there, *((statement.box,) if statement.box else ())]
    return any(
        box.south <= latitude <= box.north and any(box.west <= longitude + turn <= box.east for turn in (0, 360))
        for box in boxes
    )


def _layers_error(statement: Statement, formats: Counter[TileFormat]) -> str:
    is_silent = statement.vector_layers is not None and not statement.vector_layers
    return "lists no vector_layers, which clients need to draw vector tiles" if formats["mvt"] and is_silent else ""


def _spell(numbers: tuple[float, ...]) -> str:
    return ",".join(f"{number:.7g}" for number in numbers)
