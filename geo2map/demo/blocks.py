"""The kinds of blocks, and which stands where."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely

from geo2map.demo import site as ink
from geo2map.demo.plan import ASPHALT, Array, District
from geo2map.demo.site import Mix, Plot, Site, clutter, make_rects, pick

SIDEWALK = 3.4
"""Width of a sidewalk, metres."""

YARDS: Mix = {ink.GRASS: 0.32, ink.CONCRETE: 0.36, ink.SOIL: 0.22, ink.SHADE: 0.1}
CLUTTER: Mix = {ink.GRASS: 0.2, ink.SHADE: 0.3, ink.CONCRETE: 0.25, ink.GREY: 0.15, ink.LIGHT: 0.1}
CARS: Mix = {ink.WHITE: 0.12, ink.LIGHT: 0.22, ink.GREY: 0.22, ink.BLACK: 0.34, ink.RED: 0.04, ink.BLUE: 0.06}
FLATS: Mix = {ink.WHITE: 0.42, ink.LIGHT: 0.28, ink.GREY: 0.17, ink.DARK: 0.13}
WORKS: Mix = {ink.WHITE: 0.28, ink.LIGHT: 0.22, ink.GREY: 0.26, ink.DARK: 0.24}


class HouseRow(NamedTuple):
    """How the houses along a street are built; lengths are metres, low and high.

    Attributes:
        lot: width of a lot.
        gap: ground left free beside a house.
        setback: front yard.
        depth: depth of a house.
        height: height of a house.
        roofs: colours of the roofs.
        gabled: share of ridged roofs.
        annex: share of houses with a narrower part or a garage behind.
    """

    lot: tuple[float, float]
    gap: tuple[float, float]
    setback: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float]
    roofs: Mix
    gabled: float
    annex: float


HOUSES = HouseRow(
    lot=(7.5, 10.5),
    gap=(1.2, 2.6),
    setback=(3.0, 5.5),
    depth=(12.0, 17.0),
    height=(6.0, 9.0),
    roofs={ink.BROWN: 0.22, ink.GREY: 0.34, ink.DARK: 0.22, ink.LIGHT: 0.14, ink.RED: 0.03, ink.WHITE: 0.05},
    gabled=0.75,
    annex=0.4,
)
TERRACE = HouseRow(
    lot=(5.5, 7.5),
    gap=(0.0, 0.1),
    setback=(1.5, 3.5),
    depth=(14.0, 20.0),
    height=(8.0, 11.0),
    roofs={ink.WHITE: 0.4, ink.LIGHT: 0.3, ink.GREY: 0.18, ink.DARK: 0.08, ink.BROWN: 0.04},
    gabled=0.0,
    annex=0.55,
)


def fill_district(district: District, side: float, rng: np.random.Generator) -> Site:
    """Builds on every block that the scene may show."""
    site = Site()
    waves = rng.uniform(0, 2 * np.pi, 4)
    reach = district.area.intersection(shapely.box(0, 0, side, side)).buffer(100)
    shapely.prepare(reach)
    half = ASPHALT["street"] / 2 + SIDEWALK
    for u0, u1 in zip(district.columns[:-1], district.columns[1:], strict=True):
        for v0, v1 in zip(district.rows[:-1], district.rows[1:], strict=True):
            cell = Plot(u0 + half + 4, v0 + half + 1.5, u1 - half - 4, v1 - half - 1.5)
            x, y = district.frame.to_scene(np.array(cell.middle))
            if shapely.contains_xy(reach, x, y):
                _style(x, y, waves, rng)(site, cell, rng)
    return site


def _style(x: float, y: float, waves: Array, rng: np.random.Generator) -> Callable[..., None]:
    """Neighbouring blocks are alike: slow waves over the town choose the kind, chance the exceptions."""
    if (exception := rng.random()) < 0.10:
        return _green if exception < 0.025 else _car_park if exception < 0.055 else _towers
    a, b, c, d = waves
    mood = np.sin(x / 310 + a) + np.sin(y / 270 + b) + 0.7 * np.sin((x + y) / 150 + c) + 0.7 * np.sin((x - y) / 170 + d)
    mood += rng.normal(0, 0.45)
    if mood < -0.5:
        return _houses
    return _terraces if mood < 0.8 else _flats if mood < 1.5 else _works


def _houses(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    _rows(site, cell, HOUSES, rng)
    site.plant(cell, 75, rng)


def _terraces(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    _rows(site, cell, TERRACE, rng)
    site.plant(cell, 48, rng)


def _rows(site: Site, cell: Plot, row: HouseRow, rng: np.random.Generator) -> None:
    """Two rows of houses back to back, each facing its street."""
    for front, inward in ((cell.v0, 1.0), (cell.v1, -1.0)):
        edges = cell.u0 + np.cumsum(rng.uniform(*row.lot, int((cell.u1 - cell.u0) / row.lot[0])))
        edges = edges[edges < cell.u1]
        left, right = edges[:-1], edges[1:]
        n = len(left)
        back = abs(cell.v1 - cell.v0) / 2
        lots = np.stack([left, np.full(n, front), right, np.full(n, front + inward * back)], axis=1)
        yards = make_rects(lots, pick(YARDS, n, rng))
        site.ground += [yards, clutter(yards, CLUTTER, per_metre=1 / 30, sizes=(1.0, 3.4), rng=rng)]
        near = rng.uniform(*row.setback) + rng.normal(0, 0.3, n)
        far = near + np.where(rng.random(n) < 0.7, rng.uniform(*row.depth), rng.uniform(*row.depth, n))
        homes = np.stack([left, front + inward * near, right - rng.uniform(*row.gap, n), front + inward * far], axis=1)
        _build_row(site, homes, inward, row, rng)


def _build_row(site: Site, homes: Array, inward: float, row: HouseRow, rng: np.random.Generator) -> None:
    """Houses of mostly one colour, a few lots left empty, some with an annex behind."""
    n = len(homes)
    colours = np.where(rng.random((n, 1)) < 0.55, pick(row.roofs, 1, rng), pick(row.roofs, n, rng))
    colours = colours * rng.lognormal(0, 0.1, (n, 1))
    height = rng.uniform(*row.height) + rng.normal(0, 0.4, n)
    houses = make_rects(homes, colours, height)._replace(gabled=rng.random(n) < row.gabled)
    built = rng.random(n) < 0.96
    annex = homes.copy()
    annex[:, 1] = homes[:, 3]
    annex[:, 3] += inward * rng.uniform(3, 7, n)
    annex[:, 2] -= (homes[:, 2] - homes[:, 0]) * rng.uniform(0.3, 0.6, n)
    behind = make_rects(annex, colours * rng.uniform(0.6, 1.1, (n, 1)), height * 0.6)
    site.buildings += [behind.take(built & (rng.random(n) < row.annex)), houses.take(built)]


def _flats(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    """Apartment houses on both sides: wings with light courts between them."""
    site.ground.append(make_rects(np.array(cell), tuple(pick({ink.SHADE: 1, ink.GRASS: 1}, 1, rng)[0])))
    for front, inward in ((cell.v0 + 1, 1.0), (cell.v1 - 1, -1.0)):
        u = cell.u0
        while u + 18 < cell.u1:
            width, depth = rng.uniform(18, 34), rng.uniform(20, 27)
            end = min(u + width, cell.u1)
            court = rng.uniform(4, 7) / 2
            middle, back = (u + end) / 2, front + inward * depth
            notch = front + inward * depth * rng.uniform(0.3, 0.6)
            plan = [(u, front, end, notch), (u, notch, middle - court, back), (middle + court, notch, end, back)]
            site.buildings.append(make_rects(np.array(plan), pick(FLATS, 1, rng)[0], rng.uniform(13, 21)))
            u = end + rng.choice([0.3, 0.3, 3.0, 7.0])
    site.plant(cell, 30, rng)


def _works(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    """Large flat roofs and yards for lorries and cars."""
    site.ground.append(make_rects(np.array(cell), ink.TAR))
    u = cell.u0
    while u + 15 < cell.u1:
        end = min(u + rng.uniform(24, 75), cell.u1)
        split = rng.choice([cell.v1, rng.uniform(cell.v0 + 18, cell.v1 - 18)])
        for v0, v1 in pairwise(sorted({cell.v0, split, cell.v1})):
            if rng.random() < 0.2:
                _park_cars(site, Plot(u, v0, end, v1), rng)
            else:
                margin = rng.choice([0.4, 0.4, 5.0])
                roof = np.array([u, v0, end - margin, v1])
                site.buildings.append(make_rects(roof, pick(WORKS, 1, rng), rng.uniform(6, 12)))
        u = end
    site.plant(cell, 4, rng)


def _towers(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    """Cross-shaped towers among trees."""
    site.ground.append(make_rects(np.array(cell), ink.GRASS))
    for u in np.arange(cell.u0 + 28, cell.u1 - 20, rng.uniform(52, 66)):
        v = cell.middle[1] + rng.uniform(-9, 9)
        long, short = rng.uniform(16, 22), rng.uniform(5, 7)
        cross = np.array([(u - long, v - short, u + long, v + short), (u - short, v - long, u + short, v + long)])
        site.buildings.append(make_rects(cross, pick({ink.GREY: 2, ink.LIGHT: 3}, 1, rng)[0], rng.uniform(22, 42)))
    site.plant(cell, 95, rng)


def _car_park(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    """A car park with a shop at one end."""
    shop = cell._replace(u1=cell.u0 + rng.uniform(35, 60))
    site.buildings.append(make_rects(np.array(shop), pick(WORKS, 1, rng), 8.0))
    _park_cars(site, cell._replace(u0=shop.u1 + 2), rng)
    site.plant(cell, 8, rng)


def _park_cars(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    """Asphalt with two thirds of its bays taken; a bay is 2.7 by 5.2 m, an aisle 6 m wide."""
    site.ground.append(make_rects(np.array(cell), tuple(pick({ink.TAR: 1, ink.GREY: 1}, 1, rng)[0])))
    rows = np.arange(cell.v0 + 1, cell.v1 - 5, 8.2)
    u, v = (grid.ravel() for grid in np.meshgrid(np.arange(cell.u0 + 1, cell.u1 - 3, 2.7), rows))
    bays = np.stack([u, v, u + 1.9, v + 4.6], axis=1)
    bays = bays[rng.random(len(bays)) < 0.66]
    site.cars.append(make_rects(bays, pick(CARS, len(bays), rng)))


def _green(site: Site, cell: Plot, rng: np.random.Generator) -> None:
    """A block left as a small park: trees around a lawn or a playground."""
    site.greens.append(make_rects(np.array(cell), ink.LAWN))
    court = np.array([cell.middle[0] - 22, cell.middle[1] - 12, cell.middle[0] + 18, cell.middle[1] + 11])
    site.ground.append(make_rects(court, tuple(pick({ink.LAWN: 1, ink.CONCRETE: 1, ink.SOIL: 1}, 1, rng)[0])))
    site.plant(cell, 110, rng)
