"""`check` for every output type."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from geo2map.checking.archive import ARCHIVES, check_archive, check_raster
from geo2map.checking.doubt import measure_doubt
from geo2map.checking.features import check_vector_file
from geo2map.checking.findings import CheckReport
from geo2map.checking.folder import check_folder
from geo2map.errors import TileSetError
from geo2map.files.atomic import hidden_sibling
from geo2map.files.place import resolve_place
from geo2map.formats.geotiff.write import GEOTIFF_SUFFIXES
from geo2map.formats.vectors.read import VECTOR_SUFFIXES, is_vector_file


def check(path: str | Path) -> CheckReport:
    """Check that an output is complete and intact: every tile exists, decodes and is the one written; nothing else is
    in it; its documents are correct; overviews match the tiles below them. Seams are measured, not judged, and so is
    doubt, where there is a layer of confidence.

    Outputs of geo2map are compared with their journal (in a folder, or hidden beside a file), others checked for
    internal consistency.

    Args:
        path: a folder of tiles, an .mbtiles, .pmtiles or .tif, by any program; or a vector file of geo2map.

    Raises:
        TileSetError: it does not exist, or is not a supported type.
    """
    path = Path(path)
    report = _check_kind(path)
    with suppress(TileSetError):  # the check itself tells what cannot be read
        report.doubt = measure_doubt(path)
    return report


def _check_kind(path: Path) -> CheckReport:
    if path.is_dir():
        return check_folder(path)
    if path.is_file() and path.suffix.lower() in GEOTIFF_SUFFIXES:
        return check_raster(path)
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        return check_archive(path)
    if path.is_file() and is_vector_file(path):
        return check_vector_file(path)
    if path.is_file():
        known = ", ".join((*GEOTIFF_SUFFIXES, *ARCHIVES, *VECTOR_SUFFIXES))
        raise TileSetError(f"{path}: not a supported type; give a folder of tiles or a file ending in one of {known}")
    if hidden_sibling(resolve_place(path), "partial").exists():
        raise TileSetError(f"{path}: not finished; run its command again to resume")
    raise TileSetError(f"{path}: not found; check the path")
