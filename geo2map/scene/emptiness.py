"""Proof that part of a scene is empty, without warping it: by the sizes of the file's blocks, then by their pixels.

An overview proves nothing: it may leave out the only valid pixel. A block of the file that compresses
to next to nothing may be empty, so those few are decoded and inspected; all others count as full.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.warp import transform
from rasterio.windows import Window

from geo2map.errors import SceneError
from geo2map.grid import PixelWindow, window_transform, world_window
from geo2map.grid.mercator import web_mercator
from geo2map.scene.bands import Bands
from geo2map.scene.gdal import open_raster, reading
from geo2map.scene.georeference import Georeference

STEP = 64
"""Output pixels between the points whose position in the file is computed."""
REACH = 4.0
"""Reach of the widest kernel in pixels, of the file or the output, whichever are larger."""
SLACK = 16
"""Additional pixels of the file, for rounding and GDAL's approximate transformer, which need far less."""
SMALL = 48
"""A block that compresses to less than one part in so many may be empty."""
REMEMBERED = 4096

Where = tuple[int, int]


@dataclass
class Emptiness:
    """Finds blocks of a file without a valid pixel; conservative: a block that may have one does not count.

    Attributes:
        path, level: of the raster or its overview, as `geo2map.scene.vrt.colours_vrt` takes them.
        colours: the document it made.
        bands: roles of the bands in it.
        place: of its pixels.
        frame: global pixels that it is warped to.
        zoom: of these.
        scale: output pixels per pixel of the file, the smaller of both axes.
        exact: whether a pixel of the document is the same whichever window is read; the mean of a mask may differ by
            what a fraction of a pixel contributes, which is no proof.
    """

    path: str
    level: int | None
    colours: str
    bands: Bands
    place: Georeference
    frame: PixelWindow
    zoom: int
    scale: float
    exact: bool = True
    _known: dict[Where, bool] = field(default_factory=dict, repr=False)

    def another(self) -> Emptiness:
        """A copy for use in another thread."""
        return replace(self, _known=dict(self._known))

    @property
    def can_prove(self) -> bool:
        """Whether emptiness can be proved: pixels are marked as invalid, the georeference is a plain geotransform."""
        plain = self.place.transform is not None and self.place.centre_longitude is None
        inside = self.frame.left >= 0 and self.frame.right <= world_window(self.zoom).width
        return self.exact and plain and inside and (self.bands.has_alpha or self.bands.nodata is not None)

    def is_empty(self, window: PixelWindow) -> bool:
        """Whether no pixel of a window, within the frame, can become valid, whatever the kernel."""
        if not self.can_prove or (wanted := self._in_file(window)) is None:
            return False
        options = {} if self.level is None else {"OVERVIEW_LEVEL": self.level}
        try:
            with reading(self.path), open_raster(self.path, **options) as file:
                if file.driver != "GTiff":
                    return False
                places = _blocks(file, wanted)
                unknown = [where for where in places if where not in self._known]
                if not all(self._known.get(where, True) for where in places):
                    return False
                if not all(_small(file, where) for where in unknown):
                    return False
                return self._look(file, unknown)
        except SceneError:  # reported when the block is read
            return False

    def _look(self, file: DatasetReader, places: list[Where]) -> bool:
        """Decodes blocks until one contains data."""
        if not places:
            return True
        if len(self._known) + len(places) > REMEMBERED:
            self._known.clear()
        height, width = file.block_shapes[0]
        whole = Window(0, 0, file.width, file.height)
        with open_raster(self.colours) as colours:
            for where in places:
                part = Window(where[1] * width, where[0] * height, width, height).intersection(whole)
                self._known[where] = bool(self.bands.blank(colours.read(window=part)).all())
                if not self._known[where]:
                    return False
        return True

    def _in_file(self, window: PixelWindow) -> Window | None:
        """Pixels of the file that may contribute to a window, rather too many; None if they cannot be determined.

        Points in between are no farther from those of a grid than these from each other, if the transformation is as
        smooth as projections are.
        """
        assert self.place.transform is not None
        rows, columns = (np.append(np.arange(0, size, STEP), size) for size in (window.height, window.width))
        x, y = window_transform(window, self.zoom) @ np.array([a.ravel() for a in np.meshgrid(columns, rows)], float)
        try:
            found = np.array(transform(web_mercator(), self.place.crs, x, y)[:2])
        except Exception:  # any error of PROJ: not a proof
            return None
        inverse = ~self.place.transform
        across = inverse.a * found[0] + inverse.b * found[1] + inverse.c
        down = inverse.d * found[0] + inverse.e * found[1] + inverse.f
        if not (np.isfinite(across).all() and np.isfinite(down).all()):
            return None
        spread = [_longest_step(values.reshape(len(rows), len(columns))) for values in (across, down)]
        pad = [REACH * max(1.0, 1 / self.scale) + SLACK + step for step in spread]
        left, right = float(across.min()) - pad[0], float(across.max()) + pad[0]
        top, bottom = float(down.min()) - pad[1], float(down.max()) + pad[1]
        return Window.from_slices(
            (max(0, int(np.floor(top))), max(0, int(np.ceil(bottom)))),
            (max(0, int(np.floor(left))), max(0, int(np.ceil(right)))),
        )


def _longest_step(values: npt.NDArray[np.float64]) -> float:
    """The most that neighbours of a grid, along both axes together, differ."""
    return float(sum(np.abs(np.diff(values, axis=axis)).max(initial=0.0) for axis in (0, 1)))


def _blocks(file: DatasetReader, window: Window) -> list[Where]:
    """The file's blocks (row, column) that a window touches."""
    height, width = file.block_shapes[0]
    bottom, right = (
        min(a + b, c)
        for a, b, c in ((window.row_off, window.height, file.height), (window.col_off, window.width, file.width))
    )
    rows = range(int(window.row_off) // height, -(-int(bottom) // height))
    columns = range(int(window.col_off) // width, -(-int(right) // width))
    return [(row, column) for row in rows for column in columns]


def _small(file: DatasetReader, where: Where) -> bool:
    """Whether a block is so small, or not even stored, that it may be empty."""
    stored = file.get_tag_item(f"BLOCK_SIZE_{where[1]}_{where[0]}", "TIFF", bidx=1)
    height, width = file.block_shapes[0]
    full = height * width * np.dtype(file.dtypes[0]).itemsize * file.count
    return stored is None or int(stored) * SMALL <= full
