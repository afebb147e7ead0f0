"""Outlines of labelled fields that fit together: marching squares for several labels at once.

Each vertex lies on an edge between two lattice points, strictly between them, or in the middle of a square where
three labels meet. So outlines never cross or touch themselves, and neighbours share them, whole coordinates included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.features.chains import run_order

_Ints = npt.NDArray[np.int64]
Labels = npt.NDArray[np.uint8]
Shares = npt.NDArray[np.uint16]
PARTS = 16
"""Parts of an edge at whose borders a vertex may lie."""
OUTSIDE = 255
"""The label of what lies around a lattice."""


class Traced(NamedTuple):
    """A region of one label.

    Attributes:
        label: its number.
        polygon: in the coordinates of the lattice.
        border: keys of the stretches of the lattice's border that it covers: along a row (0) or a column (1), where
            that side of the lattice begins, and the x and y where the stretch does. A lattice on the other side has
            the same keys.
        total: of the values of its pixels; 0 where none were given.
        pixels: their number.
    """

    label: int
    polygon: shapely.Polygon
    border: frozenset[tuple[int, int, int, int]]
    total: int
    pixels: int


class _Lattice(NamedTuple):
    """Squares of a lattice with a ring of outside about it, those alone whose corners differ.

    Attributes:
        corners: (4, N) labels, clockwise from the upper left.
        edges: (4, N) numbers of the edges, clockwise from the upper one.
        places: (E, 2) x and y of the vertex on each edge that leads from label to label, by `numbers`.
        numbers: of those edges, in order.
        middles: (N, 2) x and y of the middle of each square.
        shape: rows and columns of the lattice.
    """

    corners: _Ints
    edges: _Ints
    numbers: _Ints
    places: _Ints
    middles: _Ints
    shape: tuple[int, int]


def trace_fields(
    top: Labels,
    shares: Sequence[Shares],
    x: _Ints,
    y: _Ints,
    *,
    tolerance: float,
    values: npt.NDArray[np.uint8] | None = None,
) -> list[Traced]:
    """Regions of equal labels.

    Args:
        top: uint8 (rows, columns), labels; 0 where nothing is.
        shares: uint16 (rows, columns) for each label, 0 included: where the shares of two neighbours' labels are
            equal lies their border. Empty for half way.
        x, y: int64, coordinates of the columns and rows; steps of at least 2.
        tolerance: of simplifying; borders of the lattice and points where three regions meet stay. 0 for none.
        values: uint8 (rows, columns), to be added up over each region.
    """
    if not top.any():
        return []
    if values is None and min(top.shape) > 2 and (top == top[0, 0]).all():  # the corners say it all
        corners = np.ix_((0, -1), (0, -1))
        whole = trace_fields(top[corners], [share[corners] for share in shares], x[[0, -1]], y[[0, -1]], tolerance=0)
        return [region._replace(pixels=top.size) for region in whole]
    rings = _rings(_lattice(top, shares, x, y), (int(x[0]), int(y[0]), int(x[-1]), int(y[-1])), values)
    regions: list[tuple[int, shapely.Polygon, _Ints]] = []
    places: dict[tuple[int, int], int] = {}
    labels = np.unique(rings.label).tolist()
    for label in labels if tolerance else filter(None, labels):  # neighbours are simplified together
        for shell, holes in _nested(rings, np.flatnonzero(rings.label == label)):
            for place in rings.on_frame(shell):
                places[place] = len(regions)
            sums = rings.sums[shell] + rings.sums[holes].sum(0)
            regions.append((label, shapely.Polygon(rings.lines[shell], rings.lines[holes]), sums))
    polygons = [polygon for _, polygon, _ in regions]
    if tolerance:
        polygons = shapely.coverage_simplify(polygons, tolerance, simplify_boundary=False)
    borders = _borders(top, x, y, places, len(regions))
    return [
        Traced(label, polygon, frozenset(border), int(sums[0]), int(sums[1]))
        for (label, _, sums), polygon, border in zip(regions, polygons, borders, strict=True)
        if label
    ]


def _lattice(top: Labels, shares: Sequence[Shares], x: _Ints, y: _Ints) -> _Lattice:
    rows, columns = top.shape
    padded = np.pad(top, 1, constant_values=OUTSIDE)
    across, down = padded[:, :-1] != padded[:, 1:], padded[:-1] != padded[1:]
    mixed = np.flatnonzero(across[:-1] | across[1:] | down[:, :-1] | down[:, 1:])
    row, column = np.divmod(mixed, columns + 1)
    corners = np.stack(
        [padded[row, column], padded[row, column + 1], padded[row + 1, column + 1], padded[row + 1, column]]
    )
    # edges along rows first, then those along columns
    first = (rows + 2) * (columns + 1) + row * (columns + 2) + column
    edges = np.stack((mixed, first + 1, mixed + columns + 1, first))
    # the ring has the coordinates of the border itself, and so have vertices on edges that lead there
    px, py = np.pad(x, 1, mode="edge"), np.pad(y, 1, mode="edge")
    ends = ((row, column, 0, 1), (row, column + 1, 1, 0), (row + 1, column, 0, 1), (row, column, 1, 0))
    vertices = np.stack([_vertex(padded, shares, px, py, end) for end in ends])
    leads = corners != np.roll(corners, -1, axis=0)
    middles = vertices.sum(0) // 4
    for number in range(4):  # of a square that sticks out of the lattice, on its border
        beyond = (corners[number] == OUTSIDE) & ~leads[number]
        middles[beyond] = vertices[(number + 2) % 4, beyond]
    numbers, index = np.unique(edges[leads], return_index=True)
    return _Lattice(corners.astype(np.int64), edges, numbers, vertices[leads][index], middles, (rows, columns))


def _vertex(
    padded: Labels, shares: Sequence[Shares], px: _Ints, py: _Ints, end: tuple[_Ints, _Ints, int, int]
) -> _Ints:
    """Where along some edges two labels meet, strictly between the ends; the same whichever of them asks."""
    row, column, down, right = end
    one, two = padded[row, column], padded[row + down, column + right]
    part = np.full(len(row), PARTS // 2)
    inside = np.flatnonzero((one != two) & (one != OUTSIDE) & (two != OUTSIDE))
    if len(shares) and len(inside):
        here = (row[inside] - 1, column[inside] - 1)
        there = (here[0] + down, here[1] + right)
        one, two = one[inside], two[inside]
        before = _chosen(shares, one, here) - _chosen(shares, two, here)
        after = _chosen(shares, two, there) - _chosen(shares, one, there)
        total = before + after
        share = np.divide(before, total, out=np.full(len(inside), 0.5), where=total > 0)
        part[inside] = np.clip(np.rint(PARTS * share), 1, PARTS - 1)
    places = []
    for begin, stop in ((px[column], px[column + right]), (py[row], py[row + down])):
        step = stop - begin  # 0 across the edge, and where it leads out of the lattice
        places.append(begin + np.where(step, np.clip(step * part // PARTS, 1, np.maximum(step - 1, 1)), 0))
    return np.stack(places, -1)


def _chosen(shares: Sequence[Shares], label: Labels, at: tuple[_Ints, _Ints]) -> _Ints:
    """The share of each place's label."""
    chosen = np.zeros(len(label), np.int64)
    for number, share in enumerate(shares):
        of = label == number
        chosen[of] = share[at[0][of], at[1][of]]
    return chosen


class _Rings(NamedTuple):
    """Outlines of regions.

    Attributes:
        label: of the region on each one's side.
        area: twice the signed area; positive for the outer side of a region.
        lines: linear rings, without points in the middle of straight stretches of the border.
        first: a vertex of each.
        framed: places on the border of the lattice that each one goes through.
        sums: (R, 2) of the values within, and of ones; less than 0 for holes.
    """

    label: _Ints
    area: npt.NDArray[np.float64]
    lines: npt.NDArray[np.object_]
    first: _Ints
    framed: dict[int, list[tuple[int, int]]]
    sums: _Ints

    def on_frame(self, ring: int) -> list[tuple[int, int]]:
        return self.framed.get(ring, [])


def _rings(lattice: _Lattice, frame: tuple[int, int, int, int], values: npt.NDArray[np.uint8] | None) -> _Rings:
    """Outlines of all regions, each with its region on the same side."""
    c, edges = lattice.corners, np.searchsorted(lattice.numbers, lattice.edges)
    opposite = (c[0] == c[2]) | (c[1] == c[3])
    kinds = 1 + sum((np.array([c[j] != c[i] for j in range(i)]).all(0)).astype(int) for i in (1, 2, 3))
    middle = (kinds >= 3) & ~opposite
    saddle = (c[0] == c[2]) & (c[1] == c[3])
    # a step is a vertex and on which end of its edge the region lies
    count = 2 * len(lattice.numbers)
    onward, via, label = (np.full(count, -1) for _ in range(3))
    for i in range(4):
        leaves = (c[i] != c[(i + 1) % 4]) & (c[i] != OUTSIDE)
        second, third = c[(i + 2) % 4] == c[i], c[(i + 3) % 4] == c[i]
        apart = saddle & (c[(i + 1) % 4] < c[i])  # of two labels across a square the lower one holds together
        enters = (i + np.where(second & ~apart, 1, np.where(third & ~second, 2, 3))) % 4
        here = 2 * edges[i, leaves] + (i >= 2)
        onward[here] = (2 * np.choose(enters, edges) + (enters < 2))[leaves]
        via[here] = np.where(middle, np.arange(c.shape[1]), -1)[leaves]
        label[here] = c[i, leaves]
    used = np.flatnonzero(onward >= 0)
    order, sizes = run_order(np.searchsorted(used, onward[used]))
    order = used[order]
    ring = np.repeat(np.arange(len(sizes)), sizes)
    sums = _sums(lattice, order, ring, values)
    # the middle of a square comes after the vertex from which it is entered
    both = np.stack((lattice.places[order // 2], lattice.middles[via[order]]), 1).reshape(-1, 2)
    there = np.stack((np.ones(len(order), bool), via[order] >= 0), 1).ravel()
    points, ring = both[there], np.repeat(ring, 2)[there]
    return _plain(points, ring, label[order[np.cumsum(sizes) - sizes]], frame)._replace(sums=sums)


def _sums(lattice: _Lattice, steps: _Ints, ring: _Ints, values: npt.NDArray[np.uint8] | None) -> _Ints:
    """Sums over what each ring encloses, of values and of ones: row by row what lies before the ring's right side,
    less what lies before its left side."""
    rows, columns = lattice.shape
    edge, right = lattice.numbers[steps // 2], steps % 2  # whether the region lies to the right of the edge
    across = edge < (rows + 2) * (columns + 1)
    row, column = np.divmod(edge[across], columns + 1)
    sums = np.zeros((int(ring[-1]) + 1, 2), np.int64)
    before = [column]
    if values is not None:
        before.insert(0, np.cumsum(np.pad(values, ((1, 1), (1, 0))), axis=1, dtype=np.int64)[row, column])
    for number, along in enumerate(before, 2 - len(before)):
        np.add.at(sums[:, number], ring[across], np.where(right[across], -along, along))
    return sums


def _plain(points: _Ints, ring: _Ints, label: _Ints, frame: tuple[int, int, int, int]) -> _Rings:
    """Rings without repeated points, and without those in the middle of a straight stretch of the border."""
    fresh = (points != points[_neighbours(ring)[0]]).any(1)
    points, ring = points[fresh], ring[fresh]
    before, after = _neighbours(ring)
    x, y = points.T
    left, top = x - frame[0], y - frame[1]  # small numbers, whose products are exact
    area = np.bincount(ring, left * top[after] - left[after] * top, len(label)).astype(np.float64)
    straight, on = np.zeros(len(points), bool), np.zeros(len(points), bool)
    for axis, value in ((0, frame[0]), (1, frame[1]), (0, frame[2]), (1, frame[3])):
        there = points[:, axis] == value
        on |= there
        straight |= there & there[before] & there[after]
    framed: dict[int, list[tuple[int, int]]] = {}
    for number, px, py in zip(ring[on].tolist(), x[on].tolist(), y[on].tolist(), strict=True):
        framed.setdefault(number, []).append((px, py))
    lines = shapely.linearrings(points[~straight], indices=ring[~straight])
    first = points[np.searchsorted(ring, np.arange(len(label)))]
    return _Rings(label, area, lines, first, framed, np.empty((0, 2), np.int64))


def _neighbours(ring: _Ints) -> tuple[_Ints, _Ints]:
    """For each point of rings, numbered in order, where in their array the points before and after it are."""
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    ends = np.append(starts[1:], len(ring)) - 1
    before, after = np.arange(len(ring)) - 1, np.arange(len(ring)) + 1
    before[starts], after[ends] = ends, starts
    return before, after


def _nested(rings: _Rings, numbers: _Ints) -> list[tuple[int, _Ints]]:
    """Outer rings of a label with the holes in them."""
    shells, holes = numbers[rings.area[numbers] > 0], numbers[rings.area[numbers] < 0]
    inside: dict[int, list[int]] = {}
    if len(holes):
        polygons = shapely.polygons(rings.lines[shells])
        hole_of, shell_of = shapely.STRtree(polygons).query(shapely.points(rings.first[holes]), predicate="within")
        smallest: dict[int, int] = {}
        for hole, shell in zip(holes[hole_of].tolist(), shells[shell_of].tolist(), strict=True):
            if hole not in smallest or rings.area[shell] < rings.area[smallest[hole]]:
                smallest[hole] = shell
        for hole, shell in sorted(smallest.items()):
            inside.setdefault(shell, []).append(hole)
    return [(shell, np.array(inside.get(shell, []), np.int64)) for shell in shells.tolist()]


def _borders(
    top: Labels, x: _Ints, y: _Ints, places: dict[tuple[int, int], int], count: int
) -> list[set[tuple[int, int, int, int]]]:
    """Keys of the stretches of the border that each region covers."""
    found: list[set[tuple[int, int, int, int]]] = [set() for _ in range(count)]
    for way, at in ((0, 0), (0, -1), (1, 0), (1, -1)):
        labels = top[at] if way == 0 else top[:, at]
        for start in (0, *(np.flatnonzero(np.diff(labels)) + 1).tolist()):
            point = (int(x[start]), int(y[at])) if way == 0 else (int(x[at]), int(y[start]))
            if labels[start]:
                found[places[point]].add((way, int(x[0] if way == 0 else y[0]), *point))
    return found
