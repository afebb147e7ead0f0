"""One door for all kinds of output."""

from __future__ import annotations

from pathlib import Path

from geo2map.checking.archive import ARCHIVES, check_archive, check_raster
from geo2map.checking.findings import CheckReport
from geo2map.checking.folder import check_folder
from geo2map.errors import TileSetError
from geo2map.files.atomic import hidden_sibling
from geo2map.files.place import resolve_place
from geo2map.formats.geotiff.write import GEOTIFF_SUFFIXES


def check(path: str | Path) -> CheckReport:
    """Whether an output is whole and true: every tile is there, decodes and is the one that was written; nothing else
    is there; documents are true; overviews follow from the tiles below them. Seams are measured, not judged.

    What geo2map made is held against its journal (in a folder, or hidden beside a file); what has none, against itself.

    Args:
        path: a folder of tiles, an .mbtiles or a .pmtiles, ours or anyone's, or a .tif.

    Raises:
        TileSetError: there is no such output, or it is of a kind that cannot be checked.
    """
    path = Path(path)
    if path.is_dir():
        return check_folder(path)
    if path.is_file() and path.suffix.lower() in GEOTIFF_SUFFIXES:
        return check_raster(path)
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        return check_archive(path)
    if path.is_file():
        known = ", ".join((*GEOTIFF_SUFFIXES, *ARCHIVES))
        raise TileSetError(f"{path} cannot be checked: give a folder of tiles or a file that ends in one of {known}")
    if hidden_sibling(resolve_place(path), "partial").exists():
        raise TileSetError(f"{path} is not finished: run the command that makes it again")
    raise TileSetError(f"{path} is not there: check the path")
