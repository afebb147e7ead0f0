"""Why GDAL cannot open a file: causes more specific than damage."""

from __future__ import annotations

import errno
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from geo2map.errors import TOO_MANY_FILES, SceneError
from geo2map.files.address import is_file_path, redact

DAMAGED = "check the file, it may be damaged or truncated"
VECTOR_FILES = (".gpkg", ".fgb", ".parquet", ".geojson")
NOT_A_RASTER = "check the file: it may be damaged, or of a kind that GDAL cannot read here"
MISSING = "a file that it refers to is missing; check the paths in it"
PREFIXED = "check the path; GDAL takes what is before the colon for a driver's name"
RASTERS = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".img", ".mrf", ".ntf", ".nitf", ".sid", ".ecw", ".asc"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
"""Scenes if they have a world file or .aux.xml of GDAL's."""
RAW = frozenset({"", ".dat", ".bin", ".raw", ".bil", ".bip", ".bsq", ".flt", ".ers"})
_SIDECARS = frozenset({".hdr", ".tfw", ".tifw", ".tiffw", ".jgw", ".jpgw", ".pgw", ".pngw", ".bpw", ".j2w", ".wld"}) | {
    *(".prj", ".xml", ".aux", ".rrd", ".ovr", ".msk", ".rpb", ".imd", ".stx", ".clr", ".qml", ".sld", ".ige", ".idx"),
}
VECTORS = frozenset({".shp", ".shx", ".dbf", ".kml", ".gpx", ".fgb", ".gml"})
MEMBERS_SHOWN, NAMED = 3, 8
_BEGINNINGS = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file itself; run git lfs pull"),
    (b"/annex/objects/", "it is a git-annex pointer, not the file itself; run git annex get"),
    (b"../.git/annex/", "it is a git-annex pointer, not the file itself; run git annex get"),
    (b"<!doctype html", "it is a web page, perhaps a server's error message; download the file again"),
    (b"<html", "it is a web page, perhaps a server's error message; download the file again"),
    (b"<error", "it is a server's error message; download the file again"),
    (b"7z\xbc\xaf", "it is an archive; unpack it"),
    (b"rar!", "it is an archive; unpack it"),
)


def advise(path: str | Path, error: BaseException, otherwise: str = DAMAGED) -> str:
    """The cause why a scene cannot be opened or read, and what to do; `otherwise` if it is unknown.

    Args:
        error: of GDAL, with the system's error as its cause or in its words.
    """
    text = str(path)
    said = f"{error} {error.__cause__ or ''}"
    if os.strerror(errno.EMFILE) in said or getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        return TOO_MANY_FILES
    if _is_not_utf8(text):
        return "its name is not UTF-8, which GDAL needs; rename it"
    if not is_file_path(path):
        return _advise_on_other(text, said, otherwise)
    if (known := _advise_on_file(Path(text))) is not None:
        return known
    unknown = "not recognized" in said or "<VRTDataset" in said
    if unknown and (skipped := os.environ.get("GDAL_SKIP")):
        return f"the environment variable GDAL_SKIP disables drivers ({skipped}); unset it"
    if os.strerror(errno.ENOENT) in said:
        return MISSING
    if not unknown:
        return otherwise
    if Path(text).suffix.lower() in VECTOR_FILES:
        return "it holds features, no imagery: draw or convert it"
    return NOT_A_RASTER if otherwise == DAMAGED and Path(text).suffix.lower() not in RASTERS | PICTURES else otherwise


def holds_no_band(path: str, inside: Sequence[str]) -> SceneError:
    """The error for a file that has no bands itself: it may hold several rasters, each with a name of its own."""
    if not inside:
        return SceneError(f"{redact(path)} holds no raster; give another file")
    more = f" and {len(inside) - NAMED} more" if len(inside) > NAMED else ""
    names = ", ".join(redact(name) for name in inside[:NAMED])
    return SceneError(f"{redact(path)} holds several rasters; name one of them: {names}{more}")


def _is_not_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _advise_on_other(text: str, said: str, otherwise: str) -> str:
    """For a name that only GDAL understands: one of a driver, or of a file in an archive."""
    if text.startswith(("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/")) and "vsicurl" not in text:
        if "No such file" in said or "does not exist" in said or "not recognized" in said:
            return "check the path of the archive and the name within it"
    elif ":" in text and "://" not in text and not text.startswith("/vsi"):
        return PREFIXED
    return otherwise


def _advise_on_file(path: Path) -> str | None:
    try:
        if path.is_dir():
            return "it is a folder; name a raster in it"
        if not path.exists():
            return "no such file; check the path"
        if not os.access(path, os.R_OK):
            return "permission denied; check its permissions"
        if not path.stat().st_size:
            return "it is empty; get it again"
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        return f"{error.strerror}; check the file"
    return _advise_on_content(path, head) or _advise_on_name(path)


def _advise_on_content(path: Path, head: bytes) -> str | None:
    text = re.sub(rb"^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?", b"", head).lower()
    for beginning, advice in _BEGINNINGS:
        if text.startswith(beginning):
            return advice
    try:
        if head.startswith(b"\x1f\x8b"):
            return _advise_on_gzip(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _name_members("/vsizip", path, iter(archive.namelist()))
        if head[257:262] == b"ustar":
            with tarfile.open(path) as archive:
                return _name_members("/vsitar", path, iter(archive.getnames()))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError, NotImplementedError):
        return "it is a damaged archive; get it again"
    return None


def _advise_on_gzip(path: Path) -> str:
    """By the first bytes alone: listing a compressed tar would require unpacking it."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            while (member := archive.next()) is not None and not member.size:
                pass
    except (OSError, EOFError, tarfile.TarError, zlib.error):
        return f"it is compressed by gzip; unpack it, or give /vsigzip/{path}"
    name = member.name.removeprefix("./") if member is not None else ""
    shown = name if Path(name).suffix.lower() in RASTERS | PICTURES else "<name>"
    return f"it is an archive; name a raster in it: /vsitar/{path}/{shown}"


def _name_members(home: str, path: Path, names: Iterator[str]) -> str:
    rasters = [name.removeprefix("./") for name in names if Path(name).suffix.lower() in RASTERS | PICTURES]
    found = [f"{home}/{path}/{name}" for name in rasters if not Path(name).name.startswith(".")]
    if not found:
        return "it is an archive without a raster in it; unpack it and name a raster"
    more = f" and {len(found) - MEMBERS_SHOWN} more" if len(found) > MEMBERS_SHOWN else ""
    return f"it is an archive; name a raster in it: {', '.join(found[:MEMBERS_SHOWN])}{more}"


def _advise_on_name(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in VECTORS:
        return "it is a vector file; give a raster"
    if suffix not in _SIDECARS:
        return None
    stem = path.stem.removesuffix(".aux") if suffix == ".xml" else path.stem
    wanted = RASTERS | PICTURES | RAW
    beside = sorted(
        file for file in path.parent.iterdir() if stem in (file.stem, file.name) and file.suffix.lower() in wanted
    )
    given = [file for file in beside if file != path and file.is_file()]
    if given:
        return f"it describes {given[0].name}; name {given[0]}"
    return "it describes a raster and is not one itself; name the raster" if suffix != ".xml" else None
