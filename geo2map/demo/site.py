"""What stands on the ground of a district, as coloured rectangles along the axes of its frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.demo.plan import Array, Frame

# Mean colours in the imagery the model knows: dark, and with hardly a tint.
WHITE, LIGHT, GREY, DARK = (172, 174, 174), (124, 125, 123), (80, 79, 76), (44, 43, 41)
BROWN, RED, TAR = (77, 69, 60), (80, 64, 58), (66, 65, 62)
GRASS, CONCRETE, SOIL, SHADE, LAWN = (41, 45, 34), (86, 84, 78), (62, 58, 51), (36, 36, 32), (49, 55, 41)
BLACK, BLUE = (24, 24, 25), (54, 60, 70)

Colour = tuple[int, int, int]
Mix = dict[Colour, float]


class Rects(NamedTuple):
    """Coloured rectangles.

    Attributes:
        uv: float64 (n, 4), u0, v0, u1, v1 in metres.
        colours: float64 (n, 3), levels.
        heights: float64 (n,), metres above ground.
        gabled: bool (n,), True for a ridged roof.
    """

    uv: Array
    colours: Array
    heights: Array
    gabled: npt.NDArray[np.bool_]

    def take(self, index: npt.NDArray[np.generic]) -> Rects:
        """The rectangles that a mask or an index array selects."""
        return Rects(*(part[index] for part in self))

    def with_uv(self, uv: Array) -> Rects:
        return self._replace(uv=uv)

    def tinted(self, factors: Array | float) -> Rects:
        """The same rectangles, lighter or darker by a factor for each."""
        return self._replace(colours=self.colours * np.reshape(factors, (-1, 1)))

    def corners(self, frame: Frame) -> Array:
        """The corners in scene metres, float64 (n, 4, 2)."""
        return frame.to_scene(self.uv[:, [[0, 1], [2, 1], [2, 3], [0, 3]]])


def make_rects(uv: Array, colours: Array | Colour, heights: Array | float = 0.0, gabled: bool = False) -> Rects:
    """Rectangles that share what is given once; the ends of each axis in any order."""
    uv = np.atleast_2d(uv)
    ordered = np.hstack([np.minimum(uv[:, :2], uv[:, 2:]), np.maximum(uv[:, :2], uv[:, 2:])])
    n = len(uv)
    spread = np.broadcast_to(np.asarray(colours, dtype=float), (n, 3))
    return Rects(ordered, spread, np.broadcast_to(np.asarray(heights, float), (n,)), np.full(n, gabled))


def join(parts: list[Rects]) -> Rects:
    """All rectangles of `parts`, in order."""
    parts = [make_rects(np.empty((0, 4)), BLACK), *parts]
    return Rects(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def pick(mix: Mix, n: int, rng: np.random.Generator) -> Array:
    """Draws n colours by their weights, each a little lighter or darker; float64 (n, 3)."""
    weights = np.array(list(mix.values()))
    chosen = rng.choice(len(mix), n, p=weights / weights.sum())
    return np.array(list(mix), dtype=float)[chosen] * rng.lognormal(0, 0.12, (n, 1))


def clutter(
    places: Rects, mix: Mix | None, per_metre: float, sizes: tuple[float, float], rng: np.random.Generator
) -> Rects:
    """Small rectangles at chance on larger ones and cut at their edges, `per_metre` for each square metre.

    Without a mix they are stains: a little lighter or darker than what they lie on.
    """
    u0, v0, u1, v1 = places.uv.T
    under = places.take(np.repeat(np.arange(len(u0)), rng.poisson((u1 - u0) * (v1 - v0) * per_metre)))
    n = len(under.uv)
    low, high = under.uv[:, :2] + 0.8, under.uv[:, 2:] - 0.8
    near = low + rng.random((n, 2)) * (high - low)
    far = np.minimum(near + rng.uniform(*sizes, (n, 2)), high)
    colours = pick(mix, n, rng) if mix else under.colours * rng.lognormal(0, 0.16, (n, 1))
    return make_rects(np.hstack([near, far]), colours)


class Plot(NamedTuple):
    """The lots of one block: the ground between its sidewalks, in metres of the district's frame."""

    u0: float
    v0: float
    u1: float
    v1: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.u0 + self.u1) / 2, (self.v0 + self.v1) / 2

    @property
    def area(self) -> float:
        return (self.u1 - self.u0) * (self.v1 - self.v0)


@dataclass
class Site:
    """Collects the contents of a district's blocks.

    Attributes:
        ground: paving and gardens, the lowest first.
        buildings: buildings by their outlines.
        cars: parked cars.
        greens: small parks.
        trees: float64 (n, 3) each, of u, v and crown radius in metres.
    """

    ground: list[Rects] = field(default_factory=list)
    buildings: list[Rects] = field(default_factory=list)
    cars: list[Rects] = field(default_factory=list)
    greens: list[Rects] = field(default_factory=list)
    trees: list[Array] = field(default_factory=list)

    def plant(self, cell: Plot, per_hectare: float, rng: np.random.Generator) -> None:
        """Groups of trees anywhere on a block, most in the yards along its middle."""
        n = rng.poisson(cell.area / 1e4 * per_hectare / 3)
        u = rng.uniform(cell.u0, cell.u1, n)
        v = rng.triangular(cell.v0, cell.middle[1], cell.v1, n)
        group = np.repeat(np.stack([u, v], axis=1), 3, axis=0)
        place = group + rng.normal(0, 3.2, group.shape)
        self.trees.append(np.hstack([place, rng.gamma(9, 0.38, (len(place), 1))]))
