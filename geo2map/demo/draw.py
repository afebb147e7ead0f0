"""Drawing in metres on Pillow pictures, and smooth noise."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from geo2map.demo.plan import Array

Field = npt.NDArray[np.float32]
Fill = int | tuple[int, int, int]


class Canvas:
    """A square picture with a ground resolution.

    Attributes:
        image: the Pillow picture, of mode "RGB", "L" or "I".
        resolution: metres per pixel.
    """

    def __init__(self, image: Image.Image, resolution: float) -> None:
        self.image = image
        self.resolution = resolution
        self._draw = ImageDraw.Draw(image)

    @classmethod
    def blank(cls, mode: str, size: int, resolution: float, fill: Fill = 0) -> Canvas:
        return cls(Image.new(mode, (size, size), fill), resolution)

    def polygons(self, corners: Array, fills: Iterable[Fill]) -> None:
        """Fills polygons in order, float64 (n, k, 2) in metres, with a fill for each."""
        # Pillow also paints the pixels that the outline touches, so aim at pixel centres.
        pixels = (corners / self.resolution - 0.5).reshape(len(corners), 2 * corners.shape[1])
        for outline, fill in zip(pixels.tolist(), fills, strict=True):
            self._draw.polygon(outline, fill=fill)

    def discs(self, discs: Array, fills: Iterable[int]) -> None:
        """Fills discs, float64 (n, 3) of x, y and radius in metres."""
        centre, radius = discs[:, :2], discs[:, 2:]
        boxes = np.hstack([centre - radius, centre + radius]) / self.resolution - 0.5
        for box, fill in zip(boxes.tolist(), fills, strict=True):
            self._draw.ellipse(box, fill=fill)

    def shape(self, shape: BaseGeometry | npt.NDArray[np.object_], fill: Fill) -> None:
        """Fills the outer rings of a polygon, a multipolygon, or an array of polygons."""
        rings = shapely.get_exterior_ring(shapely.get_parts(shape))
        points = (shapely.get_coordinates(rings) / self.resolution - 0.5).ravel().tolist()
        ends = np.cumsum(2 * shapely.get_num_coordinates(rings)).tolist()
        for start, end in pairwise([0, *ends]):
            self._draw.polygon(points[start:end], fill=fill)

    def at(self, points: Array) -> npt.NDArray[np.uint8]:
        """Pixel values under points (..., 2) in metres; points outside take the nearest pixel."""
        pixels = np.clip((points / self.resolution).astype(np.int64), 0, self.image.width - 1)
        return np.asarray(self.image)[pixels[..., 1], pixels[..., 0]]


def smooth_noise(size: int, period: float, rng: np.random.Generator) -> Field:
    """Noise of unit variance and zero mean that changes over about `period` pixels, float32 (size, size)."""
    knots = max(4, round(size / period))
    coarse = Image.fromarray(rng.standard_normal((knots, knots), dtype=np.float32))
    field = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    sample = field[::7, ::7]  # enough to measure, and much quicker
    return (field - sample.mean()) / sample.std()
