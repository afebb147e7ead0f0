"""One piece of a scene, rendered in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from geo2map.api.looking import middle_block, plan_loaded, prepared_block
from geo2map.api.models import ResolvedModel, resolve_model
from geo2map.api.requests import RenderRequest, resolve
from geo2map.errors import PlanError
from geo2map.files.picture import hatched
from geo2map.grid import TILE_SIZE, Block, BlockImage, PixelWindow
from geo2map.model import ModelOptions
from geo2map.protocols import Begin
from geo2map.types import Image, Match

MOST_TILES_COMPARED = 16
"""Along a side of what is compared, at the finest zoom."""


@dataclass(frozen=True, kw_only=True)
class Variants:
    """What a comparison varies; an empty value leaves that to the request.

    Attributes:
        models: packaged names or files.
        zooms: zooms to translate at.
        matches: how the scene's colours are matched.
    """

    models: tuple[str, ...] = ()
    zooms: tuple[int, ...] = ()
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, eq=False)
class Compared:
    """A picture of a comparison.

    Attributes:
        image: uint8 (H, W, 3), all of one size; no data is hatched.
        options: the options that make it, by their Python names; empty for the imagery.
    """

    image: Image
    options: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Piece:
    block: Block
    source: BlockImage
    drawn: BlockImage
    options: dict[str, str | int]


def compare_request(
    request: RenderRequest, variants: Variants, *, span: int = 3, begin: Begin | None = None
) -> list[list[Compared]]:
    """Renders the middle of a request's scenes in each way.

    Args:
        request: what is not varied.
        span: tiles a side, at the zoom of the first picture; small scenes show fewer.
        begin: called with the notes of each way, by its options.

    Returns:
        A row for each model and zoom: the imagery, and a picture for each match.

    Raises:
        PlanError: a zoom so fine that the piece has too many tiles.
        Geo2MapError: see `geo2map.preview`.
    """
    rows: list[list[_Piece]] = []
    ground: tuple[int, PixelWindow] | None = None
    with ExitStack() as stack:
        for model, zoom in product(variants.models or (None,), variants.zooms or (None,)):
            chosen = _resolved(request, model)
            stack.push(chosen)
            row: list[_Piece] = []
            for match in variants.matches or (None,):
                planning = request.planning if zoom is None else replace(request.planning, zoom=zoom)
                planning = planning if match is None else replace(planning, match=match)
                way = replace(request, model=chosen, planning=planning, out=None)
                piece, ground = _rendered(way, _options(model, zoom, match), span, ground, begin)
                row.append(piece)
            rows.append(row)
    assert ground is not None, "there is at least one way"
    return [_cut(row, ground, max(piece.block.z for line in rows for piece in line)) for row in rows]


def _resolved(request: RenderRequest, model: str | None) -> ResolvedModel:
    if model is None:
        return resolve_model(request.model)
    assert isinstance(request.model, ModelOptions), "models are compared by name"
    return resolve_model(replace(request.model, model=model))


def _options(model: str | None, zoom: int | None, match: Match | None) -> dict[str, str | int]:
    chosen = {"model": model, "zoom": zoom, "match": match}
    return {name: value for name, value in chosen.items() if value is not None}


def _rendered(
    request: RenderRequest,
    options: dict[str, str | int],
    span: int,
    ground: tuple[int, PixelWindow] | None,
    begin: Begin | None,
) -> tuple[_Piece, tuple[int, PixelWindow]]:
    """The piece rendered in one way, and what it shows: a zoom and a window of its global pixels."""
    resolved = resolve(request)
    with resolved.open() as opened, plan_loaded(resolved, opened) as (plan, engine):
        if begin is not None:
            begin(" ".join(f"{name}={value}" for name, value in options.items()), plan.notes)
        if ground is None:
            block = middle_block(plan, opened, span)
            ground = plan.maxzoom, block.core.intersection(plan.window)
        else:
            block = _block_over(*ground, plan.maxzoom, plan.margin)
        return _Piece(block, *prepared_block(plan, opened, engine, block), options), ground


def _block_over(zoom: int, window: PixelWindow, wanted: int, margin: int) -> Block:
    """The tiles of another zoom that cover a window.

    Raises:
        PlanError: too many.
    """
    scale = 2.0 ** (wanted - zoom) / TILE_SIZE
    left, top = int(window.left * scale), int(window.top * scale)
    right, bottom = -int(-window.right * scale // 1), -int(-window.bottom * scale // 1)
    if max(right - left, bottom - top) > MOST_TILES_COMPARED:
        raise PlanError(f"zoom {wanted}: too fine beside {zoom}; give a smaller span", option="span", usage=True)
    return Block(wanted, left, top, right - left, bottom - top, margin)


def _cut(row: Sequence[_Piece], ground: tuple[int, PixelWindow], zoom: int) -> list[Compared]:
    """The pictures of a row over the same ground, enlarged to the pixels of a zoom."""
    shown = [Compared(_enlarged(row[0].block, row[0].source, ground, zoom))]
    return shown + [Compared(_enlarged(piece.block, piece.drawn, ground, zoom), piece.options) for piece in row]


def _enlarged(block: Block, image: BlockImage, ground: tuple[int, PixelWindow], zoom: int) -> Image:
    scale = 2 ** (zoom - block.z)
    pixels, mask = image.pixels.repeat(scale, 0).repeat(scale, 1), image.mask.repeat(scale, 0).repeat(scale, 1)
    left, top, right, bottom = (side * 2 ** (zoom - ground[0]) for side in ground[1])
    x, y = block.core.left * scale, block.core.top * scale
    part = np.s_[top - y : bottom - y, left - x : right - x]
    return hatched(pixels[part], mask[part])
