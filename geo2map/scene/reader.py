"""Opens a raster as a scene: its georeference, three colours, and their validity."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TypeVar, Unpack

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from geo2map import grid
from geo2map.errors import SceneError
from geo2map.files.address import (
    gdal_path,
    is_file_path,
    is_folder,
    is_remote,
    is_there,
    plain_path,
    redact,
    scene_name,
)
from geo2map.grid import PixelWindow
from geo2map.scene.bands import Bands, choose_bands
from geo2map.scene.causes import holds_no_band
from geo2map.scene.datum import datum_notes
from geo2map.scene.emptiness import Emptiness
from geo2map.scene.footprint import find_footprint, find_outline
from geo2map.scene.gdal import open_raster, opening, reading, retry
from geo2map.scene.georeference import find_georeference
from geo2map.scene.identity import SceneIdentity, identify
from geo2map.scene.numbers import notes_on_numbers
from geo2map.scene.options import SceneKeywords, SceneOptions
from geo2map.scene.overview import Overview, choose_overview
from geo2map.scene.sample import SAMPLE_SIDE, ask_about_black, read_sample, read_undamaged, validate_alpha
from geo2map.scene.source import SceneSource
from geo2map.scene.survey import MASK_BANDS, bounded_shape, read_valid, with_raster
from geo2map.scene.trust import Trust
from geo2map.scene.view import View
from geo2map.scene.vrt import colours_vrt, warped_vrt
from geo2map.types import Favours, Mask, OnError

_T = TypeVar("_T", bound=np.generic)


class Scene:
    """One open georeferenced raster. Use as a context manager; see `open_scene`.

    Attributes:
        path: as it was given.
        name: the file's name without folder and suffix; output names come from it.
        dataset: the raster itself.
        indexes: the bands used as red, green and blue, counted from 1.
        footprint, bounds: its extent; bounds in web-mercator metres, beyond the world's right edge where the scene
            crosses the antimeridian.
        ground_resolution: metres on the ground per pixel at the scene's middle (geometric mean of both axes).
        latitude: degrees, of the scene's middle.
        zooms: None: it has pixels at any zoom.
        colours_for, favours: empty: not prepared for any model.
        remarks: notes on how it was found.
        bits: of its values, if the file declares them; see `geo2map.scene.bands.Bands`.
        on_error: whether damage is an error for `sample`, or left out with a note.
    """

    zooms: tuple[int, ...] | None = None
    colours_for: str = ""
    favours: Favours = ()
    remarks: tuple[str, ...] = ()

    def __init__(self, path: str | Path, options: SceneOptions | None = None, on_error: OnError = "fail") -> None:
        options = options or SceneOptions()
        self.path, self.name, self.on_error = str(path), scene_name(path), on_error
        self._address = gdal_path(path)
        trust = None if options.allow_outside else Trust(path)
        if trust is not None:
            trust.before_opening()
        self.dataset = retry(path, self._open)
        try:
            if trust is not None:
                trust.after_opening(self.dataset)
            with opening(path):
                self._marked = choose_bands(self.dataset, redact(path), options.indexes, options.nodata)
                self._place = find_georeference(self.dataset, redact(path), options.crs)
                self._numbers = notes_on_numbers(self.dataset, self._marked.meant)
            self.indexes, self.bits = self._marked.indexes, self._marked.bits
            self.footprint = find_footprint(self._place)
        except BaseException:
            self.dataset.close()
            raise
        self.bounds, self.latitude = self.footprint.bounds, self.footprint.latitude
        self.ground_resolution = self.footprint.ground_resolution

    def _open(self) -> DatasetReader:
        with opening(self.path):
            dataset = open_raster(self._address)
        if not dataset.count:
            with dataset:
                raise holds_no_band(self.path, dataset.subdatasets)
        return dataset

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dataset.close()

    @property
    def bands(self) -> Bands:
        """The roles of the bands; an alpha band only if its values are plausible."""
        return self._believed[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on how the scene is read."""
        beyond = f"warning: {self.name} reaches beyond 85.05° north or south, where web-mercator ends; clipped"
        clipped = (beyond,) if self.footprint.clipped else ()
        of_pixels = *self._seen[1], *self._believed[1], *ask_about_black(self.bands, self._look)
        return (*self.remarks, *clipped, *self._place.notes, *self._datum, *self._numbers, *of_pixels)

    @property
    def files(self) -> tuple[str, ...]:
        """Every local file that it is read from: itself, sidecars, the sources of a VRT."""
        return tuple(filter(is_file_path, self.dataset.files))

    @property
    def layout_digest(self) -> str:
        """Changes when the scene's position or reading options change; independent of its pixels."""
        read = f"{self.bands}{self.bands.meant or ''} {self.bounds}"
        return hashlib.sha256(read.encode()).hexdigest()[:16]

    @property
    def crs(self) -> CRS:
        """CRS of the georeference, unless overridden."""
        return self._place.crs

    @property
    def transform(self) -> Affine | None:
        """From (column, row) of pixel corners to the CRS; None if it has control points instead."""
        return self._place.transform

    @property
    def outline(self) -> npt.NDArray[np.float64]:
        """Degrees once around the scene; see `geo2map.scene.footprint.find_outline`."""
        return find_outline(self._place)

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds the scene; may reach over the world's right edge."""
        world, frame = grid.world_window(zoom), self._frame(zoom)
        if grid.tile_range(frame).width * grid.TILE_SIZE > world.width:  # else a tile would have two columns
            return PixelWindow(world.left, frame.top, world.right, frame.bottom)
        return frame

    def sample(self) -> npt.NDArray[np.generic]:
        """Valid pixels from all over the scene, at most about `SAMPLE_SIDE` squared, (pixels, 3) in its type.

        Raises:
            SceneError: damaged data; with `on_error` "skip" nothing but damaged data, or a server that fails.
        """
        bands, pixels = self.bands, self._look
        colours = pixels[: bands.count, bands.valid(pixels)].T
        return colours if bands.count == 3 else colours.repeat(3, axis=-1)

    @property
    def valid_share(self) -> float:
        """Share of the scene's pixels that hold data, 0 to 1; from a sample."""
        return float(self.bands.valid(self._look).mean())

    def coverage(self, zoom: int, cell: int) -> Mask:
        """Where the scene has data: one bool per `cell` x `cell` global pixels of `window(zoom)`, (rows, columns).

        From a decimated read: suitable for estimates, not for deciding what to skip.
        """
        window = self.window(zoom)
        shape = (-(-window.height // cell), -(-window.width // cell))
        matrix = grid.window_transform(window, zoom, cell)
        x, y = self.footprint.scale(matrix.a)
        size = self.dataset.width, self.dataset.height
        fewer = bounded_shape(self.dataset, (math.ceil(size[0] * min(1.0, x)), math.ceil(size[1] * min(1.0, y))))
        place = self._place.decimated(*fewer)

        def seen(raster: str) -> Mask:
            document = warped_vrt(raster, place, MASK_BANDS, matrix, shape, "nearest", (1.0, 1.0))
            return self._read(document, lambda warped: np.asarray(warped.read(warped.count) >= 128))

        colours = colours_vrt(self._address, self.bands, size, shown=fewer)
        return with_raster(self._read(colours, lambda dataset: read_valid(dataset, self.bands)), seen)

    @property
    def identities(self) -> tuple[SceneIdentity, ...]:
        """The identity of the file or files."""
        return (identify(self.path, self.dataset.files),)

    def at(self, view: View) -> SceneSource:
        """The scene as a source of pixels at one zoom, from the overview that suits it."""
        zoom = view.zoom
        frame = self._frame(zoom)
        x, y = self.footprint.scale(grid.mercator_resolution(zoom))
        overview = self._overview(min(1 / x, 1 / y))
        place = self._place if overview is None else self._place.decimated(*overview.size)
        colours = self._colours(overview)
        scale = x * self.dataset.width / place.width, y * self.dataset.height / place.height
        matrix, shape = grid.window_transform(frame, zoom), (frame.height, frame.width)
        document = warped_vrt(colours, place, self.bands, matrix, shape, view.resampling, scale)
        level, exact = (None, True) if overview is None else (overview.level, overview.has_mask)
        emptiness = Emptiness(self._address, level, colours, self.bands, place, frame, zoom, min(scale), exact)
        return SceneSource(self.path, document, frame, view.rendition, emptiness)

    @property
    def _look(self) -> npt.NDArray[np.generic]:
        """Colours and alpha as stored, (bands, pixels)."""
        return self._seen[0]

    @cached_property
    def _seen(self) -> tuple[npt.NDArray[np.generic], tuple[str, ...]]:
        """The sample, and a note if it does not cover the whole scene."""
        document = colours_vrt(self._address, self._marked, (self.dataset.width, self.dataset.height))
        try:
            return self._read(document, lambda colours: read_sample(colours, self.dataset, SAMPLE_SIDE)), ()
        except SceneError:
            if self.on_error == "fail" or is_remote(self.path):  # a server's faults would differ next time
                raise
        with opening(self.path), open_raster(document) as colours:
            pixels, note = read_undamaged(colours, self.dataset, SAMPLE_SIDE, self.path)
        return pixels, (note,)

    @cached_property
    def _believed(self) -> tuple[Bands, tuple[str, ...]]:
        """Bands and a note; reads pixels only if a band is marked as alpha."""
        return (self._marked, ()) if self._marked.alpha is None else validate_alpha(self._marked, self._look)

    @cached_property
    def _datum(self) -> tuple[str, ...]:
        """Notes on the accuracy of the position."""
        west, south, east, north = grid.to_lnglat(self.bounds)
        longitude = ((west + east) / 2 + 180) % 360 - 180
        return datum_notes(self.crs, longitude, (south + north) / 2, self.ground_resolution)

    def _read(self, document: str, read: Callable[[DatasetReader], npt.NDArray[_T]]) -> npt.NDArray[_T]:
        def attempt() -> npt.NDArray[_T]:
            with reading(self.path), open_raster(document) as dataset:
                return read(dataset)

        return retry(self.path, attempt)

    def _frame(self, zoom: int) -> PixelWindow:
        world, frame = grid.world_window(zoom), grid.bounds_window(self.bounds, zoom)
        return PixelWindow(frame.left, max(frame.top, 0), frame.right, min(frame.bottom, world.bottom))

    def _overview(self, ratio: float) -> Overview | None:
        """The overview for a number of scene pixels per output pixel; None for the raster itself."""
        with opening(self.path):
            return choose_overview(self.dataset, self._address, self.bands, ratio)

    def _colours(self, overview: Overview | None) -> str:
        """The document of the colours of the raster or of an overview."""
        whole = self.dataset.width, self.dataset.height
        if overview is None:
            return colours_vrt(self._address, self.bands, whole)
        unmasked = None if overview.has_mask else whole
        return colours_vrt(self._address, self.bands, overview.size, level=overview.level, whole=unmasked)


def open_scene(path: str | Path, *, on_error: OnError = "fail", **options: Unpack[SceneKeywords]) -> Scene:
    """Opens a raster as a scene; a context manager.

    Args:
        path: a file, a URL (https://, s3://, gs://, az://) or one of GDAL's virtual paths; anything rasterio opens.
        on_error: "skip" samples what can be read of a damaged file; it does not decide which blocks are rendered.
        options: the fields of `geo2map.scene.SceneOptions`.

    Raises:
        SceneError: the file is missing, not a raster, damaged, or a VRT that refers outside its folder.
        GeoreferenceError: no CRS, no geotransform, or outside web-mercator.
        BandError: bands that the file does not have, or that are not colours; a nodata value that they cannot hold.
    """
    return read_scene(path, SceneOptions(**options), on_error)


def read_scene(path: str | Path, options: SceneOptions, on_error: OnError = "fail") -> Scene:
    """The same as `open_scene`, its options as a value."""
    path = plain_path(path)
    if is_file_path(path) and not is_there(path):
        raise SceneError(f"scene not found: {path}; check the path")
    if is_file_path(path) and not (is_folder(path) or Path(path).is_file()):
        raise SceneError(f"{path} is not a regular file but a device, a pipe or a socket; give a raster")
    return Scene(path, options, on_error)
