"""Opens a raster and reads it, warped on the fly, on the global web-mercator pixel grid."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio import windows
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.enums import Resampling as RasterioResampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform

from geo2map import grid
from geo2map.block import Block, BlockImage
from geo2map.errors import BandError, GeoreferenceError, SceneError
from geo2map.grid import PixelWindow
from geo2map.scene.rendition import Rendition
from geo2map.types import Bounds, Mask, Resampling

MERCATOR = CRS.from_epsg(3857)
SAMPLE_SIDE = 1024
GDAL_OPTIONS = {
    "GDAL_CACHEMAX": 256 * 2**20,  # in bytes: unlike GDAL, rasterio does not take small numbers for megabytes
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "VRT_SHARED_SOURCE": "0",
}
DAMAGED = "check the file, it may be damaged or cut short"


class Scene:
    """One open raster with a place on Earth. Use as a context manager; see `open_scene`.

    Attributes:
        name: the file's name without folder and suffix; output names come from it.
        indexes: the bands used as red, green and blue, counted from 1.
        ground_resolution: metres on the ground per pixel at the scene's middle (geometric mean of both axes).
        latitude: degrees, of the scene's middle.
    """

    def __init__(self, path: str | Path, indexes: Sequence[int] | None = None) -> None:
        self.path = str(path)
        self.name = Path(path).stem
        with wrap_gdal(f"scene {self.path} asked", SceneError, DAMAGED), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said better below
            self.dataset = rasterio.open(self.path)
        try:
            self.indexes = self._choose_indexes(indexes)
            self._require_georeference()
            self.bounds = self._mercator_bounds()
            self.latitude = self._latitude()
            self.ground_resolution = self._ground_resolution()
        except BaseException:
            self.dataset.close()
            raise

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dataset.close()

    def _choose_indexes(self, indexes: Sequence[int] | None) -> tuple[int, ...]:
        count = self.dataset.count
        if indexes is not None:
            if len(indexes) != 3 or not all(1 <= index <= count for index in indexes):
                raise BandError(f"bands {tuple(indexes)} of {self.path} asked: give three of its bands 1 to {count}")
            return tuple(indexes)
        roles = self.dataset.colorinterp
        if all(role in roles for role in (ColorInterp.red, ColorInterp.green, ColorInterp.blue)):
            return tuple(roles.index(role) + 1 for role in (ColorInterp.red, ColorInterp.green, ColorInterp.blue))
        if count < 3:
            raise BandError(
                f"{self.path} has {count} band{'s' if count > 1 else ''}, and the model needs red, green and blue: "
                "give an RGB scene"
            )
        return (1, 2, 3)

    def _require_georeference(self) -> None:
        if self.dataset.crs is None:
            raise GeoreferenceError(
                f"{self.path} has no coordinate reference system, so nobody can say where on Earth it is: "
                "set one, e.g. with gdal_edit.py -a_srs EPSG:code"
            )
        matrix = self.dataset.transform
        if matrix == Affine.identity() or not math.isfinite(matrix.determinant) or matrix.determinant == 0:
            raise GeoreferenceError(f"{self.path} has a CRS but no usable geotransform: georeference it first")

    def _to_mercator(self, xs: npt.ArrayLike, ys: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map coordinates of pixel corners (columns, rows) in web-mercator metres, (2, points)."""
        east, north = self.dataset.transform @ (np.asarray(xs, dtype=float), np.asarray(ys, dtype=float))
        name = self.dataset.crs.to_string()[:60]
        with wrap_gdal(
            f"{self.path} in web-mercator asked from its CRS {name}", GeoreferenceError, "set a CRS of the Earth"
        ):
            return np.array(transform(self.dataset.crs, MERCATOR, east, north))

    def _mercator_bounds(self) -> Bounds:
        """Bounds of the footprint, its edges followed in 64 steps, clipped to web-mercator's square."""
        steps = np.linspace(0.0, 1.0, 65)
        width, height = self.dataset.width, self.dataset.height
        zeros, ones = np.zeros_like(steps), np.ones_like(steps)
        columns = np.concatenate((steps, ones, steps, zeros)) * width
        rows = np.concatenate((zeros, steps, ones, steps)) * height
        x, y = self._to_mercator(columns, rows)
        half = grid.HALF_WORLD
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise GeoreferenceError(f"{self.path} reaches beyond what web-mercator can show: cut it to 85° N..S first")
        bounds = Bounds(*(float(np.clip(v, -half, half)) for v in (x.min(), y.min(), x.max(), y.max())))
        if bounds.left >= bounds.right or bounds.bottom >= bounds.top:
            raise GeoreferenceError(f"{self.path} lies wholly outside web-mercator (85.05° N..S): nothing to render")
        return bounds

    def _latitude(self) -> float:
        middle = (self.bounds.bottom + self.bounds.top) / 2
        return math.degrees(2 * math.atan(math.exp(middle / grid.EARTH_RADIUS)) - math.pi / 2)

    def _ground_resolution(self) -> float:
        column, row = self.dataset.width / 2, self.dataset.height / 2
        x, y = self._to_mercator((column - 0.5, column + 0.5, column - 0.5), (row - 0.5, row - 0.5, row + 0.5))
        area = abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
        return math.sqrt(area) * math.cos(math.radians(self.latitude))

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds the scene."""
        return grid.bounds_window(self.bounds, zoom).intersection(grid.world_window(zoom))

    def sample(self) -> npt.NDArray[np.generic]:
        """Valid pixels of one decimated read of the whole scene, (pixels, 3) in the scene's type.

        Raises:
            SceneError: damaged data.
        """
        data = self.dataset
        factor = max(1.0, max(data.width, data.height) / SAMPLE_SIDE)
        shape = (max(1, round(data.height / factor)), max(1, round(data.width / factor)))
        with rasterio.Env(**GDAL_OPTIONS), wrap_gdal(f"pixels of {self.path} asked", SceneError, DAMAGED):
            values = data.read(self.indexes, out_shape=(3, *shape))
            if ColorInterp.alpha in data.colorinterp:  # GDAL's own mask overlooks an alpha that is not the fourth band
                mask = data.read(data.colorinterp.index(ColorInterp.alpha) + 1, out_shape=shape) > 0
            else:
                mask = data.dataset_mask(out_shape=shape) >= 128
        return np.moveaxis(values, 0, -1)[mask]

    def coverage(self, zoom: int, cell: int) -> Mask:
        """Where the scene has data: one bool per `cell` x `cell` global pixels of `window(zoom)`, (rows, columns).

        A decimated look: right for estimates, not for deciding what to skip.
        """
        window = self.window(zoom)
        shape = (-(-window.height // cell), -(-window.width // cell))
        matrix = grid.window_transform(window, zoom, cell)
        with (
            rasterio.Env(**GDAL_OPTIONS),
            wrap_gdal(f"pixels of {self.path} asked", SceneError, DAMAGED),
            self._warped(matrix, shape[1], shape[0], "nearest") as vrt,
        ):
            return np.asarray(vrt.read(vrt.colorinterp.index(ColorInterp.alpha) + 1) >= 128)

    def at(self, zoom: int, rendition: Rendition, resampling: Resampling = "cubic") -> SceneSource:
        """The scene as a source of pixels at one zoom."""
        return SceneSource(self, zoom, rendition, resampling)

    def _warped(self, matrix: Affine, width: int, height: int, resampling: Resampling) -> WarpedVRT:
        """One warped view with an alpha band last, whatever kind of validity the file has.

        GDAL derives the resampling scale for each chunk unless told, which shows at chunk borders; so it is told.
        """
        data = self.dataset
        scale = min(1.0, self.ground_resolution / (matrix.a * math.cos(math.radians(self.latitude))))
        options: dict[str, Any] = {"XSCALE": scale, "YSCALE": scale, "UNIFIED_SRC_NODATA": "YES", "DST_ALPHA_MAX": 255}
        if data.nodata is not None:
            options["src_nodata"] = data.nodata
        return WarpedVRT(
            data,
            crs=MERCATOR,
            transform=matrix,
            width=width,
            height=height,
            resampling=RasterioResampling[resampling],
            add_alpha=ColorInterp.alpha not in data.colorinterp,
            tolerance=1e-6,
            warp_mem_limit=64,
            **options,
        )


class SceneSource:
    """A scene at one zoom (a `geo2map.protocols.Source`).

    There is one fixed warped view for the whole scene: a pixel is the same whichever block asks for it.
    """

    def __init__(self, scene: Scene, zoom: int, rendition: Rendition, resampling: Resampling) -> None:
        self.scene, self.rendition = scene, rendition
        self._frame = scene.window(zoom)
        matrix = grid.window_transform(self._frame, zoom)
        with wrap_gdal(f"{scene.path} at zoom {zoom} asked", SceneError, DAMAGED):
            self._vrt = scene._warped(matrix, self._frame.width, self._frame.height, resampling)
        self._alpha = self._vrt.colorinterp.index(ColorInterp.alpha) + 1

    def __enter__(self) -> SceneSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._vrt.close()

    def read(self, block: Block) -> BlockImage:
        """Reads a block; a pixel is valid where at least half of it is covered by valid scene pixels.

        Raises:
            SceneError: damaged data.
        """
        wanted = block.window
        pixels = np.zeros((wanted.height, wanted.width, 3), dtype=np.uint8)
        mask = np.zeros((wanted.height, wanted.width), dtype=np.bool_)
        there = wanted.intersection(self._frame)
        if not there.empty:
            values, alpha = self._read(there)
            rows, columns = there.slices(wanted)
            mask[rows, columns] = alpha >= 128
            pixels[rows, columns] = self.rendition(np.moveaxis(values, 0, -1))
        return BlockImage(block, pixels, mask)

    def _read(self, window: PixelWindow) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        rows, columns = window.slices(self._frame)
        part = windows.Window.from_slices(rows, columns)
        with rasterio.Env(**GDAL_OPTIONS), wrap_gdal(f"pixels of {self.scene.path} asked", SceneError, DAMAGED):
            bands = self._vrt.read((*self.scene.indexes, self._alpha), window=part)
        return bands[:3], bands[3]


def open_scene(path: str | Path, *, indexes: Sequence[int] | None = None) -> Scene:
    """Opens a raster as a scene; a context manager.

    Args:
        path: anything rasterio opens.
        indexes: the bands to use as red, green, blue, counted from 1; default by colour interpretation.

    Raises:
        SceneError: the file is missing, not a raster, or damaged.
        GeoreferenceError: no CRS, no geotransform, or a place that web-mercator cannot show.
        BandError: fewer than three bands, or not the ones asked for.
    """
    if "://" not in str(path) and not str(path).startswith("/vsi") and not Path(path).exists():
        raise SceneError(f"scene {path} asked, but there is no such file")
    return Scene(path, indexes)


@contextmanager
def wrap_gdal(asked: str, kind: type[Exception], advice: str) -> Iterator[None]:
    """Turns GDAL's errors into ours: one sentence of what was asked, what GDAL found and what to do."""
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError, ValueError) as error:
        found = " ".join(re.split("(?: from [`'])?{", str(error.__cause__ or error))[0].split())[:300].rstrip(".")
        raise kind(f"{asked}, but GDAL says: {found}; {advice}") from error
