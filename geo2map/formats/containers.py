"""Output types: a container is a writer function for stored tiles, registered in `CONTAINERS`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from geo2map.errors import OutputError
from geo2map.files.address import is_file_path
from geo2map.files.atomic import output_errors
from geo2map.formats.folder import write_folder
from geo2map.formats.geotiff.read import GeotiffStore
from geo2map.formats.geotiff.write import write_geotiff
from geo2map.formats.mbtiles import MbtilesStore, write_mbtiles
from geo2map.formats.pmtiles.read import PmtilesStore
from geo2map.formats.pmtiles.write import write_pmtiles
from geo2map.grid import PixelWindow
from geo2map.grid.raster import RasterGrid
from geo2map.plan.storage import Storage
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.tilejson import FILE_NAME, TileSet

if TYPE_CHECKING:
    from geo2map.formats.vectors.read import FeatureFile

Writer = Callable[[StoredTiles, TileSet, Path, Progress | None], None]
"""Writes a container from stored tiles to an unused path; the caller renames it, or removes it after an error."""
Export = Callable[["FeatureFile", Path, Storage, Progress | None], None]
"""Writes a vector file from features to an unused path."""


class TileFile(StoredTiles, Protocol):
    """A finished single-file output, open for reading.

    Attributes:
        tileset: its description.
    """

    tileset: TileSet

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Close the file; may be repeated."""


@dataclass(frozen=True)
class Container:
    """An output type.

    Attributes:
        name: with its article, for messages.
        write: the default writer.
        is_folder: tiles are written to a folder block by block; otherwise one file is written at the end, from tiles
            spooled in the journal.
        configure: gives the writer for a `Storage`; None if no option affects it.
        read: opens a finished file; None if its tiles cannot be read back: it can be neither converted nor updated.
        pace: seconds to write one rendered tile, on one core, for estimates.
        export: writes features where the container is a vector file; None for tiles and pixels.
        takes_crs: whether features may be in another CRS than WGS 84.
        most_pixels: of the largest map that it takes; None takes any.
        takes_format: whether the tile format is an option; otherwise tiles are lossless.
    """

    name: str
    write: Writer
    is_folder: bool = False
    takes_format: bool = True
    export: Export | None = None
    takes_crs: bool = False
    most_pixels: int | None = None
    configure: Callable[[Storage], Writer] | None = None
    read: Callable[[Path], TileFile] | None = None
    pace: float = 0.0

    @property
    def is_raster(self) -> bool:
        """Whether it is a single raster, not a tile set."""
        return not self.is_folder and not self.takes_format and not self.is_vector

    @property
    def is_vector(self) -> bool:
        """Whether it is a vector file."""
        return self.export is not None

    def writer(self, storage: Storage) -> Writer:
        """The writer for a storage."""
        return self.write if self.configure is None else self.configure(storage)

    def adapt(self, storage: Storage) -> Storage:
        """The storage of the tiles to build it from: a raster needs lossless layers, a vector file features."""
        exact = self.is_raster and bool(storage.layers)
        return replace(storage, exact_layers=exact, vector=storage.vector or self.is_vector)

    def check_storage(self, storage: Storage) -> None:
        """Refuse options that do not apply to this container.

        Raises:
            OutputError: names the option.
        """
        if self.is_vector:
            self._check_features(storage)
        elif storage.vector and self.is_raster:
            raise OutputError(
                f"vector: {self.name} holds pixels; choose a folder, .pmtiles, .mbtiles, or a vector file",
                option="vector",
                usage=True,
            )
        if storage.style is not None and not (storage.is_derived or self.is_vector):
            raise OutputError(
                "style: only features have one; ask for vector tiles or for redrawn ones", option="style", usage=True
            )
        if storage.scheme != "xyz" and not self.is_folder:
            raise OutputError(
                f"scheme {storage.scheme}: not an option of {self.name}; leave it out", option="scheme", usage=True
            )
        if storage.address is not None and not self.is_folder:
            raise OutputError(
                f"address: {self.name} has no sidecar documents; leave it out", option="address", usage=True
            )
        if storage.grid_options and not self.is_vector and self.configure is None:
            option = storage.grid_options[0]
            fitting = "a vector file" if storage.vector else "a .tif"
            raise OutputError(
                f"{option}: {self.name} is on the web-mercator grid; choose {fitting} for another",
                option=option,
                usage=True,
            )
        if storage.compress is not None and self.configure is None:
            raise OutputError(f"compress: not an option of {self.name}; leave it out", option="compress", usage=True)
        for name, value in (("quality", storage.quality), ("lossless", storage.lossless)):
            if value and not self.takes_format:
                raise OutputError(f"{name}: {self.name} is always lossless; leave it out", option=name, usage=True)
        if storage.format is not None and not self.takes_format:
            raise OutputError(
                f"format {storage.format}: {self.name} has no tile format; leave it out", option="format", usage=True
            )

    def check_size(self, window: PixelWindow) -> None:
        """Refuse a map that is too large.

        Raises:
            OutputError: it is.
        """
        if self.most_pixels is not None and window.width * window.height > self.most_pixels:
            raise OutputError(
                f"map of {window.width} x {window.height} px: too large for {self.name}, which programs read whole; "
                "choose .gpkg or .fgb"
            )

    def _check_features(self, storage: Storage) -> None:
        """
        Raises:
            OutputError: an option of tiles or pixels.
        """
        asked = {
            "redraw": storage.redraw,
            "classes": storage.classes,
            "layers": storage.layers,
            "minzoom": storage.minzoom is not None,
            "palette": storage.palette is not None,
            "grid": storage.grid is not None,
            "resolution": storage.resolution is not None,
        }
        if storage.crs_out is not None and not self.takes_crs:
            raise OutputError(
                f"crs_out: {self.name} is always in WGS 84 (RFC 7946); leave it out", option="crs_out", usage=True
            )
        if given := [name for name, value in asked.items() if value]:
            raise OutputError(
                f"{given[0]}: {self.name} holds features, no tiles; leave it out", option=given[0], usage=True
            )


# Measured by tests/benchmarks/containers.py: a raster is decoded, compressed twice and read back.
_RASTER_PACE, _ARCHIVE_PACE = 0.020, 0.0002


def _geotiff(storage: Storage) -> Writer:
    grid = storage.grid if isinstance(storage.grid, RasterGrid) else None
    return partial(write_geotiff, compression=storage.compress or "deflate", grid=grid)


def _export(features: FeatureFile, path: Path, storage: Storage, progress: Progress | None) -> None:
    from geo2map.formats.vectors.export import export_features

    export_features(
        features,
        path,
        style=storage.feature_style,
        crs=storage.crs_out,
        progress=progress,
    )


def _no_tiles(store: StoredTiles, tileset: TileSet, path: Path, progress: Progress | None = None) -> None:  # noqa: ARG001
    raise OutputError(f"{path}: holds features, no tiles; choose another kind of output")


MOST_GEOJSON = 2**28
"""Pixels of the largest map written as GeoJSON: a town of that size is some 100 MB."""
_vector_file = partial(Container, write=_no_tiles, takes_format=False, export=_export)

CONTAINERS: dict[str, Container] = {
    "": Container("a folder of tiles", write_folder, is_folder=True),
    ".tif": Container(
        "a GeoTIFF", write_geotiff, takes_format=False, configure=_geotiff, read=GeotiffStore, pace=_RASTER_PACE
    ),
    ".tiff": Container(
        "a GeoTIFF", write_geotiff, takes_format=False, configure=_geotiff, read=GeotiffStore, pace=_RASTER_PACE
    ),
    ".mbtiles": Container("an MBTiles file", write_mbtiles, read=MbtilesStore, pace=_ARCHIVE_PACE),
    ".pmtiles": Container("a PMTiles archive", write_pmtiles, read=PmtilesStore, pace=_ARCHIVE_PACE),
    ".gpkg": _vector_file("a GeoPackage", takes_crs=True),
    ".fgb": _vector_file("a FlatGeobuf file", takes_crs=True),
    ".geojson": _vector_file("a GeoJSON file", most_pixels=MOST_GEOJSON),
    ".parquet": _vector_file("a GeoParquet file", takes_crs=True),
}
"""By the suffix of the output's name; "" is a folder."""
_FILE_SUFFIX = re.compile(r"\.[a-z][a-z0-9]*")
"""What counts as a file suffix; anything else after a dot belongs to the name."""


def find_container(path: str | Path) -> Container:
    """The output type of a path.

    A path is a folder of tiles if it has no suffix, ends in a slash, or is one already; so is a name like "v1.2" or
    "houses_0.3m", whose last dot starts no suffix.

    Raises:
        OutputError: a cloud address, or an unsupported suffix.
    """
    if not is_file_path(path):
        raise OutputError(f"{path}: not a local path; write to a local folder or file and copy it there")
    separators = tuple(filter(None, ("/", os.sep, os.altsep)))
    asked_folder = str(path).endswith(separators)
    with output_errors(Path(path)):
        if asked_folder or (Path(path) / FILE_NAME).is_file():
            return CONTAINERS[""]
        if Path(path).is_dir() and PurePath(path).suffix.lower() not in CONTAINERS:
            return CONTAINERS[""]
    return container_of_name(path)


def container_of_name(path: str | Path) -> Container:
    """The output type of a name alone, regardless of what exists: a path, or an address in a bucket.

    Raises:
        OutputError: an unsupported suffix.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    if not _FILE_SUFFIX.fullmatch(suffix):
        return CONTAINERS[""]
    known = ", ".join(sorted(filter(None, CONTAINERS)))
    raise OutputError(
        f"{path}: {suffix} is not a supported output type; choose a name that ends in one of {known}, or in a slash "
        "(a folder of tiles)"
    )
