"""Lines of roads in pieces that meet at equal coordinates, simplified, and noded: no two cross but at their ends."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage as ndi

from geo2map.features.chains import Chains
from geo2map.features.evidence import Evidence
from geo2map.features.streets import UNITS, Street, streets
from geo2map.features.window import Box
from geo2map.types import Mask

NODING_CELL = 32
"""Side of the squares, aligned at global pixel 0, at whose borders lines are cut into pieces. Pixels."""
_TOLERANCE = 0.5
"""Tolerance of simplification, pixels."""
NODING_ROUNDS = 2
"""Times that lines which cross are brought back to their pixels."""
STIFF = 5
"""Pixels around a crossing that are brought back, more each time."""

_Ints = npt.NDArray[np.int64]


class Piece(NamedTuple):
    """A part of a street within one cell.

    Attributes:
        street: number of the street.
        first, last: points of the street's path where it begins and ends.
        line: (N, 2), global coordinates in units.
        kept: whether it lies within the map.
    """

    street: int
    first: int
    last: int
    line: _Ints
    kept: bool


def noded(chains: Chains, evidence: Evidence, window: Box, bounds: Box) -> tuple[list[Street], list[Piece]]:
    """Streets and their pieces. Where smoothed lines would cross, they stay on their pixels, which never do."""
    rigid = np.zeros(chains.node.shape, bool)
    for attempt in range(NODING_ROUNDS + 1):
        found = [_opened(street, window, bounds) for street in streets(chains, evidence, rigid)]
        pieces = _pieces(found, rigid, window, bounds)
        if attempt == NODING_ROUNDS:
            break
        wrong = _crossings(pieces)
        if not len(wrong):
            break
        _stiffen(rigid, wrong, window, (attempt + 1) * STIFF)
    return found, pieces


def _opened(street: Street, window: Box, bounds: Box) -> Street:
    """A ring that crosses cells begins where it does so, and not at whatever pixel comes first in the window."""
    if not street.ring or not len(cuts := _cuts(owners(street, window, bounds))):
        return street
    turn = -int(cuts[0])
    path, line = (np.roll(points[:-1], turn, axis=0) for points in (street.path, street.line))
    return street._replace(path=np.append(path, path[0]), line=np.concatenate((line, line[:1])))


def _cuts(cells: _Ints) -> _Ints:
    """Points of a path where its cell changes."""
    cuts: _Ints = np.flatnonzero((np.diff(cells, axis=0) != 0).any(1)) + 1
    return cuts


def owners(street: Street, window: Box, bounds: Box) -> _Ints:
    """For each step of a street's path its cell, (N - 1, 2) column and row; -1 beyond the map.

    A step belongs to the cell of that of its two pixels which comes first in the raster.
    """
    width = window.shape[1]
    x, y = street.path % width + window.left, street.path // width + window.top
    first = np.minimum(street.path[:-1], street.path[1:])
    cells = np.stack((first % width + window.left, first // width + window.top), -1) // NODING_CELL
    inside = bounds.contains(x, y)
    cells[~(inside[:-1] & inside[1:])] = -1
    return cells


def _pieces(found: list[Street], rigid: Mask, window: Box, bounds: Box) -> list[Piece]:
    pieces = []
    for number, street in enumerate(found):
        cells = owners(street, window, bounds)
        marks = [0, *_cuts(cells).tolist(), len(cells)]
        shifted = street.line + UNITS * np.array((window.left, window.top))
        for first, last in pairwise(marks):
            pieces.append(Piece(number, first, last, shifted[first : last + 1], bool(cells[first, 0] >= 0)))
    soft = [index for index, piece in enumerate(pieces) if not _within(piece, found, rigid)]
    turned = [_backward(pieces[index], found) for index in soft]
    lines = [pieces[index].line[::-1] if back else pieces[index].line for index, back in zip(soft, turned, strict=True)]
    simple = shapely.simplify([shapely.LineString(line) for line in lines], _TOLERANCE * UNITS)
    for index, back, line in zip(soft, turned, simple, strict=True):
        points = shapely.get_coordinates(line).astype(np.int64)
        pieces[index] = pieces[index]._replace(line=points[::-1] if back else points)
    return pieces


def _within(piece: Piece, found: list[Street], rigid: Mask) -> bool:
    return bool(rigid.flat[found[piece.street].path[piece.first : piece.last + 1]].any())


def _backward(piece: Piece, found: list[Street]) -> bool:
    """Whether a piece's path runs up the raster: which way it was followed must not matter."""
    path = found[piece.street].path
    return bool(path[piece.first] > path[piece.last])


def _crossings(pieces: list[Piece]) -> _Ints:
    """Where lines meet that should not, in units, (N, 2)."""
    lines = np.array([shapely.LineString(piece.line) for piece in pieces])
    if not len(lines):
        return np.empty((0, 2), np.int64)
    tree = shapely.STRtree(lines)
    one, two = tree.query(lines, predicate="intersects")
    one, two = one[one < two], two[one < two]
    common = shapely.intersection(lines[one], lines[two])
    ends = shapely.multipoints(np.array([piece.line[[0, -1]] for piece in pieces]))
    shared = shapely.intersection(ends[one], ends[two])
    wrong = shapely.difference(common, shared)
    points = shapely.get_coordinates(wrong[~shapely.is_empty(wrong)])
    knots = lines[~shapely.is_simple(lines) | (shapely.length(lines) == 0)]
    return np.concatenate((points, shapely.get_coordinates(knots))).astype(np.int64)


def _stiffen(rigid: Mask, points: _Ints, window: Box, around: int) -> None:
    """Marks what lies around points in place."""
    marked = np.zeros_like(rigid)
    column, row = (points // UNITS - (window.left, window.top)).T
    kept = (row >= 0) & (row < rigid.shape[0]) & (column >= 0) & (column < rigid.shape[1])
    marked[row[kept], column[kept]] = True
    rigid |= ndi.binary_dilation(marked, np.ones((2 * around + 1, 2 * around + 1), bool))
