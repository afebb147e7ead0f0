"""Outlines of labelled fields that fit together: marching squares for several labels at once.

Each vertex lies on an edge between two lattice points, strictly between them, or in the middle of a square where
three labels meet. So outlines never cross or touch themselves, and neighbours share them, whole coordinates included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

_Ints = npt.NDArray[np.int64]
Fields = npt.NDArray[np.float32]
PARTS = 16
"""Parts of an edge at whose borders a vertex may lie."""
ALL, BEFORE, AFTER = slice(None), slice(None, -1), slice(1, None)


class Traced(NamedTuple):
    """A region of one label.

    Attributes:
        label: its number.
        polygon: in the coordinates of the lattice.
        border: keys of the stretches of the lattice's border that it covers: along a row (0) or a column (1), where
            that side of the lattice begins, and the x and y where the stretch does. A lattice on the other side has
            the same keys.
    """

    label: int
    polygon: shapely.Polygon
    border: frozenset[tuple[int, int, int, int]]


class _Lattice(NamedTuple):
    """Labels with a ring of outside about them, and the vertex on each edge and in each square."""

    top: _Ints
    vertices: _Ints
    square: tuple[_Ints, _Ints, _Ints, _Ints, _Ints]
    """Vertex numbers of each square's edges, clockwise from the upper one, and of its middle."""


def trace_fields(fields: Fields, x: _Ints, y: _Ints, tolerance: float) -> list[Traced]:
    """Regions where each field is the greatest.

    Args:
        fields: float32 (labels, rows, columns); where the first one wins, nothing is.
        x, y: int64, coordinates of the columns and rows; steps of at least 2.
        tolerance: of simplifying; borders of the lattice and points where three regions meet stay.
    """
    top = fields.argmax(0)
    if (top == 0).all():
        return []
    lattice = _lattice(fields, top, x, y)
    rings = _rings(lattice, len(fields))
    regions: list[tuple[int, shapely.Polygon]] = []
    places: dict[tuple[int, int], int] = {}
    frame = (int(x[0]), int(y[0]), int(x[-1]), int(y[-1]))
    for label, of_label in rings.items():
        for shell, holes in _nested(of_label):
            for px, py in shell[_on_frame(shell, frame)].tolist():
                places[px, py] = len(regions)
            outlines = [_plain(ring, frame) for ring in (shell, *holes)]
            regions.append((label, shapely.Polygon(outlines[0], outlines[1:])))
    polygons = shapely.coverage_simplify([polygon for _, polygon in regions], tolerance, simplify_boundary=False)
    borders = _borders(top, x, y, places, len(regions))
    return [
        Traced(label, polygon, frozenset(border))
        for (label, _), polygon, border in zip(regions, polygons, borders, strict=True)
        if label
    ]


def _lattice(fields: Fields, top: _Ints, x: _Ints, y: _Ints) -> _Lattice:
    rows, columns = top.shape
    padded = np.pad(top, 1, constant_values=len(fields))
    across = _between(fields, top, top[:, :-1], top[:, 1:], (ALL, BEFORE), (ALL, AFTER))
    down = _between(fields, top, top[:-1], top[1:], (BEFORE,), (AFTER,))
    # the ring has the coordinates of the border itself, and so have vertices on edges that lead there
    px, py = np.pad(x, 1, mode="edge"), np.pad(y, 1, mode="edge")
    h = np.pad(across, ((1, 1), (1, 1)), mode="edge")
    v = np.pad(down, ((1, 1), (1, 1)), mode="edge")
    hx = px[:-1] + np.diff(px) * h // PARTS
    hy = np.broadcast_to(py[:, None], hx.shape)
    vy = py[:-1, None] + np.diff(py)[:, None] * v // PARTS
    vx = np.broadcast_to(px, vy.shape)
    mx, my = (hx[:-1] + hx[1:] + vx[:, :-1] + vx[:, 1:]) // 4, (hy[:-1] + hy[1:] + vy[:, :-1] + vy[:, 1:]) // 4
    mx[0], mx[-1], my[0], my[-1] = hx[1], hx[-2], hy[1], hy[-2]
    my[:, 0], my[:, -1], mx[:, 0], mx[:, -1] = vy[:, 1], vy[:, -2], vx[:, 1], vx[:, -2]
    vertices = np.concatenate([np.stack((a.ravel(), b.ravel()), -1) for a, b in ((hx, hy), (vx, vy), (mx, my))])
    hn = np.arange(hx.size).reshape(hx.shape)
    vn = hx.size + np.arange(vx.size).reshape(vx.shape)
    mn = hx.size + vx.size + np.arange(mx.size).reshape(mx.shape)
    assert hx.shape == (rows + 2, columns + 1)
    return _Lattice(padded, vertices, (hn[:-1], vn[:, 1:], hn[1:], vn[:, :-1], mn))


def _between(
    fields: Fields, top: _Ints, one: _Ints, two: _Ints, here: tuple[slice, ...], there: tuple[slice, ...]
) -> _Ints:
    """Where along each edge two labels meet, 1 to `PARTS` - 1; the same whichever of them asks."""
    rows, columns = np.mgrid[: top.shape[0], : top.shape[1]]
    at_one = (rows[here], columns[here])
    at_two = (rows[there], columns[there])
    before = fields[(one, *at_one)] - fields[(two, *at_one)]
    after = fields[(two, *at_two)] - fields[(one, *at_two)]
    total = before + after
    share = np.divide(before, total, out=np.full_like(before, 0.5), where=total > 0)
    return np.clip(np.rint(PARTS * share), 1, PARTS - 1).astype(np.int64)


def _rings(lattice: _Lattice, labels: int) -> dict[int, list[_Ints]]:
    """Outlines of each label's regions, each with its region on the same side."""
    top = lattice.top
    corners = (top[:-1, :-1], top[:-1, 1:], top[1:, 1:], top[1:, :-1])
    mixed = np.nonzero((corners[0] != corners[1]) | (corners[1] != corners[2]) | (corners[2] != corners[3]))
    c = [corner[mixed] for corner in corners]
    edges = [edge[mixed] for edge in lattice.square]
    opposite = (c[0] == c[2]) | (c[1] == c[3])
    kinds = 1 + sum((np.array([c[j] != c[i] for j in range(i)]).all(0)).astype(int) for i in (1, 2, 3))
    middle = (kinds >= 3) & ~opposite
    saddle = (c[0] == c[2]) & (c[1] == c[3])
    rings: dict[int, list[_Ints]] = {}
    for label in range(labels):
        onward: dict[int, tuple[int, int]] = {}
        for i in range(4):
            leaves = (c[i] == label) & (c[(i + 1) % 4] != label)
            second, third = c[(i + 2) % 4] == label, c[(i + 3) % 4] == label
            apart = saddle & (c[(i + 1) % 4] < label)  # of two labels across a square the lower one holds together
            step = np.where(second & ~apart, 1, np.where(third & ~second, 2, 3))
            enters = np.choose((i + step) % 4, edges[:4])
            via = np.where(middle, edges[4], -1)
            chosen = zip(enters[leaves].tolist(), via[leaves].tolist(), strict=True)
            onward.update(zip(edges[i][leaves].tolist(), chosen, strict=True))
        rings[label] = [lattice.vertices[ring] for ring in _followed(onward)]
    return rings


def _followed(onward: dict[int, tuple[int, int]]) -> list[list[int]]:
    rings = []
    while onward:
        start = now = next(iter(onward))
        ring = []
        while True:
            ring.append(now)
            now, via = onward.pop(now)
            if via >= 0:
                ring.append(via)
            if now == start:
                break
        rings.append(ring)
    return rings


def _nested(rings: list[_Ints]) -> list[tuple[_Ints, list[_Ints]]]:
    """Outer rings with the holes in them."""
    areas = [_area(ring) for ring in rings]
    shells = [ring for ring, area in zip(rings, areas, strict=True) if area > 0]
    holes = [ring for ring, area in zip(rings, areas, strict=True) if area < 0]
    if not holes:
        return [(shell, []) for shell in shells]
    polygons = shapely.polygons([shapely.linearrings(shell) for shell in shells])
    inside: list[list[_Ints]] = [[] for _ in shells]
    points = shapely.points([hole[0] for hole in holes])
    hole_of, shell_of = shapely.STRtree(polygons).query(points, predicate="within")
    smallest: dict[int, int] = {}
    for hole, shell in zip(hole_of.tolist(), shell_of.tolist(), strict=True):
        if hole not in smallest or polygons[shell].area < polygons[smallest[hole]].area:
            smallest[hole] = shell
    for hole, shell in sorted(smallest.items()):
        inside[shell].append(holes[hole])
    return list(zip(shells, inside, strict=True))


def _area(ring: _Ints) -> int:
    """Twice the signed area, positive for the outer side of a region."""
    x, y = ring.T
    return int(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _on_frame(ring: _Ints, frame: tuple[int, int, int, int]) -> npt.NDArray[np.bool_]:
    x, y = ring.T
    on: npt.NDArray[np.bool_] = (x == frame[0]) | (y == frame[1]) | (x == frame[2]) | (y == frame[3])
    return on


def _plain(ring: _Ints, frame: tuple[int, int, int, int]) -> _Ints:
    """A ring without repeated points, and without those in the middle of a straight stretch of the border."""
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(1)]
    before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
    straight = np.zeros(len(ring), bool)
    for axis, value in ((0, frame[0]), (1, frame[1]), (0, frame[2]), (1, frame[3])):
        straight |= (ring[:, axis] == value) & (before[:, axis] == value) & (after[:, axis] == value)
    return ring[~straight]


def _borders(
    top: _Ints, x: _Ints, y: _Ints, places: dict[tuple[int, int], int], count: int
) -> list[set[tuple[int, int, int, int]]]:
    """Keys of the stretches of the border that each region covers."""
    found: list[set[tuple[int, int, int, int]]] = [set() for _ in range(count)]
    for way, at in ((0, 0), (0, -1), (1, 0), (1, -1)):
        labels = top[at] if way == 0 else top[:, at]
        for start in (0, *(np.flatnonzero(np.diff(labels)) + 1).tolist()):
            point = (int(x[start]), int(y[at])) if way == 0 else (int(x[at]), int(y[start]))
            found[places[point]].add((way, int(x[0] if way == 0 else y[0]), *point))
    return found
