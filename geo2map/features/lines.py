"""Lines of roads in pieces with equal coordinates at their ends, simplified, and noded: they meet there alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features.chains import Chains
from geo2map.features.evidence import Evidence
from geo2map.features.streets import UNITS, Street, streets
from geo2map.features.window import Box

NODING_CELL = 32
"""Side of the squares, aligned at global pixel 0, at whose borders lines are cut into pieces. Pixels."""
_TOLERANCE = 0.5
"""Tolerance of simplification, pixels."""

_Ints = npt.NDArray[np.int64]


class Piece(NamedTuple):
    """A part of a street within one cell.

    Attributes:
        street: number of the street.
        first, last: points of the street's path where it begins and ends.
        home: the first point's number of the street's part within the cell.
        line: (N, 2), global coordinates in units.
        kept: whether it lies within the map.
        cut: whether its start and its end are nodes where its street crosses another.
    """

    street: int
    first: int
    last: int
    home: int
    line: _Ints
    kept: bool
    cut: tuple[bool, bool] = (False, False)


def noded(chains: Chains, evidence: Evidence, window: Box, bounds: Box) -> tuple[list[Street], list[Piece]]:
    """Streets, and their pieces in their order along each."""
    found = [_opened(street, window, bounds) for street in streets(chains, evidence)]
    pieces = _pieces(found, window, bounds)
    # always, not only where lines cross: it also joins lines that hardly differ
    return found, _cut(found, _split(found, pieces, window))


def _cut(found: list[Street], pieces: list[Piece]) -> list[Piece]:
    """Pieces that know where their street is cut: where more than two ends meet, or it goes on elsewhere."""
    ends = np.array([piece.line[[0, -1]] for piece in pieces], np.int64).reshape(-1, 2, 2)
    _, number, count = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    cut = (count[number] > 2).reshape(-1, 2)
    street = np.array([piece.street for piece in pieces])
    starts = np.flatnonzero(np.diff(street, prepend=-1))
    before = np.arange(len(pieces)) - 1
    before[starts] = np.append(starts[1:], len(pieces)) - 1  # where a ring begins, its last piece
    goes_on = np.ones(len(pieces), bool)
    goes_on[starts] = [found[number].ring for number in street[starts].tolist()]
    apart = goes_on & (ends[:, 0] != ends[before, 1]).any(1)
    cut[apart, 0] = cut[before[apart], 1] = True
    return [piece._replace(cut=(start, end)) for piece, (start, end) in zip(pieces, cut.tolist(), strict=True)]


def _shapes(lines: list[_Ints]) -> npt.NDArray[np.object_]:
    """Lines as geometries."""
    if not lines:
        return np.empty(0, object)
    number = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    return shapely.linestrings(np.concatenate(lines), indices=number)


def _opened(street: Street, window: Box, bounds: Box) -> Street:
    """A ring that crosses cells begins where it does so, and not at whatever pixel comes first in the window."""
    if not street.ring or not len(cuts := _cuts(_cells(street.path, window, bounds))):
        return street
    turn = -int(cuts[0])
    path, line = (np.roll(points[:-1], turn, axis=0) for points in (street.path, street.line))
    return street._replace(path=np.append(path, path[0]), line=np.concatenate((line, line[:1])))


def _cells(path: _Ints, window: Box, bounds: Box) -> _Ints:
    """A number for the cell of each step of a path, (N - 1,); -1 beyond the map.

    A step belongs to the cell of that of its two pixels which comes first in the raster.
    """
    width = window.shape[1]
    inside = bounds.contains(path % width + window.left, path // width + window.top)
    first = np.minimum(path[:-1], path[1:])
    column = (first % width + window.left) // NODING_CELL - window.left // NODING_CELL
    row = (first // width + window.top) // NODING_CELL - window.top // NODING_CELL
    cells: _Ints = np.where(inside[:-1] & inside[1:], row * width + column, -1)
    return cells


def _cuts(cells: _Ints) -> _Ints:
    """Points of a path where its cell changes."""
    return np.flatnonzero(cells[1:] != cells[:-1]) + 1


def _pieces(found: list[Street], window: Box, bounds: Box) -> list[Piece]:
    if not found:
        return []
    sizes = np.array([len(street.path) for street in found])
    begins = np.cumsum(sizes) - sizes
    path = np.concatenate([street.path for street in found])
    cells = _cells(path, window, bounds)
    cells[begins[1:] - 1] = -2  # no step, but from one street to the next
    marks = np.unique(np.concatenate((begins, begins + sizes - 1, _cuts(cells))))
    first, last = marks[:-1], marks[1:]
    real = cells[first] != -2
    first, last = first[real], last[real]
    points = np.concatenate([street.line for street in found]) + UNITS * np.array((window.left, window.top))
    # which way a street was followed must not matter
    back = path[first] > path[last]
    lines = [points[start : end + 1] for start, end in zip(first.tolist(), last.tolist(), strict=True)]
    lines = [line[::-1] if turned else line for line, turned in zip(lines, back.tolist(), strict=True)]
    simple = shapely.simplify(_shapes(lines), _TOLERANCE * UNITS)
    every, of = shapely.get_coordinates(simple, return_index=True)
    lines = np.split(every.astype(np.int64), np.flatnonzero(np.diff(of)) + 1)
    number = np.searchsorted(begins, first, side="right") - 1
    start, end = (first - begins[number]).tolist(), (last - begins[number]).tolist()
    return [
        Piece(street, start, end, start, line[::-1] if turned else line, kept)
        for street, start, end, line, turned, kept in zip(
            number.tolist(), start, end, lines, back.tolist(), (cells[first] >= 0).tolist(), strict=True
        )
    ]


def _split(found: list[Street], pieces: list[Piece], window: Box) -> list[Piece]:
    """Pieces cut where they cross, by snap rounding: on whole coordinates nothing crosses anew."""
    lines = _shapes([piece.line for piece in pieces])
    edges = shapely.get_parts(shapely.union_all(lines, grid_size=1.0))
    points, of = shapely.get_coordinates(edges, return_index=True)
    parts: list[list[_Ints]] = [[] for _ in pieces]
    known: dict[bytes, int] = {}
    width = window.shape[1]

    def rank(number: int) -> tuple[list[list[int]], int, int]:
        """Which of some pieces an edge of several is given to, alike in every window."""
        home = int(found[pieces[number].street].path[pieces[number].home])
        return _canonical(pieces[number].line).tolist(), home // width + window.top, home % width + window.left

    for number, piece in enumerate(pieces):
        key = _canonical(piece.line).tobytes()
        known[key] = min(number, known.get(key, number), key=rank) if key in known else number
    new = []
    for edge in np.split(points.astype(np.int64), np.flatnonzero(np.diff(of)) + 1):
        canonical = _canonical(edge)
        of_piece = known.get(canonical.tobytes())
        if of_piece is None:
            new.append(canonical)
        else:
            parts[of_piece].append(pieces[of_piece].line)
    changed = sorted((number for number, part in enumerate(parts) if not part), key=rank)
    if new and changed:
        middles = shapely.line_interpolate_point(_shapes(new), 0.5, normalized=True)
        apart = shapely.distance(middles[:, None], lines[changed][None])
        for edge, nearest in zip(new, apart.argmin(1).tolist(), strict=True):
            parts[changed[nearest]].append(edge)
    return [
        part
        for number, piece in enumerate(pieces)
        for part in _along(piece, lines[number], parts[number], found[piece.street], window)
    ]


def _canonical(line: _Ints) -> _Ints:
    first, last = line[:1].tolist(), line[-1:].tolist()
    if first == last:  # a ring: or nothing, where there are no lines
        return min(line, line[::-1], key=lambda points: points.tolist())
    return line if first < last else line[::-1]


def _along(piece: Piece, whole: shapely.LineString, parts: list[_Ints], street: Street, window: Box) -> list[Piece]:
    """The parts of a piece in their order along it."""
    if len(parts) == 1 and parts[0] is piece.line:
        return [piece]
    found = []
    path = street.line[piece.first : piece.last + 1] + UNITS * np.array((window.left, window.top))
    for part in parts:
        along = shapely.line_locate_point(whole, shapely.points(part[[0, -1]]))
        line = part if along[0] <= along[1] else part[::-1]
        first, last = (int(np.hypot(*(path - end).T).argmin()) for end in line[[0, -1]])
        first = min(first, len(path) - 2)
        last = max(first + 1, last)
        found.append(
            (float(along.sum()), piece._replace(first=piece.first + first, last=piece.first + last, line=line))
        )
    return [part for _, part in sorted(found, key=lambda pair: pair[0])]
