"""The grid of a raster: any CRS, any pixel size. A JSON-able value."""

from __future__ import annotations

from typing import NamedTuple

from affine import Affine

Coefficients = tuple[float, float, float, float, float, float]


class RasterGrid(NamedTuple):
    """The grid of a raster that is not on the web-mercator grid.

    Attributes:
        crs: "EPSG:32618", WKT or the like.
        coefficients: from (column, row) of pixel corners to the CRS: a, b, c, d, e, f.
        width, height: pixels.
    """

    crs: str
    coefficients: Coefficients
    width: int
    height: int

    @property
    def transform(self) -> Affine:
        """The coefficients as a matrix."""
        return Affine(*self.coefficients)

    @classmethod
    def of(cls, values: object) -> RasterGrid:
        """Reads its JSON form.

        Raises:
            ValueError: not a raster grid.
        """
        if not isinstance(values, list | tuple) or len(values) != 4 or len(values[1]) != 6:
            raise ValueError(f"{values!r} is not a raster grid")
        a, b, c, d, e, f = (float(value) for value in values[1])
        return cls(str(values[0]), (a, b, c, d, e, f), int(values[2]), int(values[3]))
