"""The kinds of output: a container is one function that makes a finished thing of stored tiles, and a line here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from types import TracebackType
from typing import Protocol, Self

from geo2map.errors import OutputError
from geo2map.files.address import is_file_path
from geo2map.files.atomic import output_errors
from geo2map.formats.folder import write_folder
from geo2map.formats.geotiff.read import GeotiffStore
from geo2map.formats.geotiff.write import write_geotiff
from geo2map.formats.mbtiles import MbtilesStore, write_mbtiles
from geo2map.formats.pmtiles.read import PmtilesStore
from geo2map.formats.pmtiles.write import write_pmtiles
from geo2map.grid.raster import RasterGrid
from geo2map.plan.storage import Storage
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.tilejson import TileSet

Writer = Callable[[StoredTiles, TileSet, Path, Progress | None], None]
"""Makes a container at a path out of stored tiles. Whoever calls it has made sure that the path is free, renames it
when it is complete, and removes it when it is not."""


class TileFile(StoredTiles, Protocol):
    """A finished output that is one file, open for reading.

    Attributes:
        tileset: what it says of itself.
    """

    tileset: TileSet

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Lets go of the file; harmless when repeated."""
        ...


@dataclass(frozen=True)
class Container:
    """A kind of output.

    Attributes:
        name: what it is called.
        write: makes it.
        is_folder: its tiles are files in a folder, put there as they are made; otherwise it is one file, made at the
            end, and tiles wait in the journal.
        configure: makes it as `Storage` says; None where nothing in there is about the finished thing.
        read: opens a finished one that is a file; None where its tiles cannot be had back. Without, it can neither be
            converted nor updated.
        pace: seconds that it takes to write a tile when all are made, on one core, for a dry run's estimate.
        takes_format: whether the user chooses how its tiles are encoded; otherwise they are kept without loss.
    """

    name: str
    write: Writer
    is_folder: bool = False
    takes_format: bool = True
    configure: Callable[[Storage], Writer] | None = None
    read: Callable[[Path], TileFile] | None = None
    pace: float = 0.0

    @property
    def is_raster(self) -> bool:
        """Whether it is one raster, not a set of tiles."""
        return not self.is_folder and not self.takes_format

    def writer(self, storage: Storage) -> Writer:
        """What makes the container as it is wanted."""
        return self.write if self.configure is None else self.configure(storage)

    def adapt(self, storage: Storage) -> Storage:
        """The storage of tiles of which this container is made: a raster gives back only those without loss."""
        return replace(storage, exact_layers=self.is_raster and bool(storage.layers))

    def check_storage(self, storage: Storage) -> None:
        """Refuses what means nothing to this container.

        Raises:
            OutputError: a tile format, a compression or a scheme for a container that has none.
        """
        if storage.scheme != "xyz" and not self.is_folder:
            raise OutputError(
                f"{self.name} has a scheme of its own: leave it out ({storage.scheme})", option="scheme", usage=True
            )
        if storage.address is not None and not self.is_folder:
            raise OutputError(
                f"{self.name} has no documents beside it: leave its address out", option="address", usage=True
            )
        if storage.wants_grid and self.configure is None:
            raise OutputError(
                f"{self.name} lies on the grid of the tiles: choose a .tif for another", option="grid", usage=True
            )
        if storage.compress is not None and self.configure is None:
            raise OutputError(f"{self.name} has no compression of its own: leave it out", option="compress", usage=True)
        for name, asked in (("quality", storage.quality), ("lossless", storage.lossless)):
            if asked and not self.takes_format:
                raise OutputError(f"{self.name} keeps all pixels by itself: leave {name} out", option=name, usage=True)
        if storage.format is not None and not self.takes_format:
            raise OutputError(
                f"{self.name} has no tile format: leave it out ({storage.format})", option="format", usage=True
            )


# tests/benchmarks/containers.py has the figures: a raster is decoded, compressed twice and read back.
_RASTER_PACE, _ARCHIVE_PACE = 0.020, 0.0002


def _geotiff(storage: Storage) -> Writer:
    grid = storage.grid if isinstance(storage.grid, RasterGrid) else None
    return partial(write_geotiff, compression=storage.compress or "deflate", grid=grid)


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
}
"""By the suffix of the output's name; "" is a folder."""
_FILE_SUFFIX = re.compile(r"\.[a-z][a-z0-9]*")
"""What somebody meant as a kind of file; anything else after a dot is part of a name."""


def find_container(path: str | Path) -> Container:
    """The kind of output that a path asks for.

    A name without a suffix, with a slash at its end, or of a folder that exists is a folder of tiles. So is one whose
    last dot begins no file's suffix, as in "v1.2" or "houses_0.3m".

    Raises:
        OutputError: an address of the cloud, or a suffix that means nothing.
    """
    if not is_file_path(path):
        raise OutputError(f"{path} is not a path of this machine: write to a local folder or file and copy it there")
    separators = tuple(filter(None, ("/", os.sep, os.altsep)))
    asked_folder = str(path).endswith(separators)
    with output_errors(Path(path)):
        if asked_folder or Path(path).is_dir():
            return CONTAINERS[""]
    return container_of_name(path)


def container_of_name(path: str | Path) -> Container:
    """The kind of output that a name alone asks for, whatever lies there: a path, or an address in a bucket.

    Raises:
        OutputError: a suffix that means nothing.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    if not _FILE_SUFFIX.fullmatch(suffix):
        return CONTAINERS[""]
    known = ", ".join(sorted(filter(None, CONTAINERS)))
    raise OutputError(
        f"{path} ends in {suffix}, which is not a kind of output: choose a name that ends in one of {known}, or in a "
        "slash (a folder of tiles)"
    )
