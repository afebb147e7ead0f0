"""Addresses of scenes: files, URLs, GDAL's virtual paths; GDAL's spelling, and redaction for messages."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

GDAL_HOMES = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "ftp": "/vsicurl/ftp://"} | {
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}
_ARCHIVES = {"zip": "/vsizip/", "tar": "/vsitar/", "gzip": "/vsigzip/"}
"""rasterio's schemes, as in `zip://a.zip!/b.tif`, alone or before another one: `zip+https://host/a.zip!/b.tif`."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two characters at least: C:\ is a drive
FILE_URI = re.compile(r"file:(?://(?:localhost)?)?(?=/)", re.IGNORECASE)
DRIVER = re.compile(  # as in NETCDF:file.nc:band. GDAL takes any case, but a file may be called map:1.tif
    r"[A-Z][A-Z0-9_]+:"
    r"|(?i:netcdf|hdf[45]\w*|gpkg|gtiff_dir|gtiff_raw|nitf_im|zarr|bag|s1\d\d|pdf|rasterlite2?|sentinel\w*"
    r"|derived_subdataset|tiledb|gti|wms|wmts|wcs|stacta|stacit):."
)
REMOTE = re.compile(r"/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(?:_streaming)?[/?]")
QUERY = re.compile(r"(?:(?<=://)([^\s?'\"]+)|(/vsi\w+))\?(?:[^\s'\",]|,(?!\s))*|\?[^\s'\"=]+=(?:[^\s'\",]|,(?!\s))*")
LOGIN = re.compile(r"(://)[^\s/@'\"]+@")


def plain_path(path: str | Path) -> str:
    """The path without other programs' spelling: `file:///a%20b.tif` is `/a b.tif`, and rasterio's
    `zip://a.zip!/b.tif` is GDAL's `/vsizip/a.zip/b.tif`. Anything else is returned as it is.
    """
    text = str(path)
    if uri := FILE_URI.match(text):
        return _file_of(text[uri.end() :])
    schemes, found, rest = text.partition("://")
    outer, *inner = schemes.lower().split("+")
    if not found or outer not in _ARCHIVES:
        return text
    archive, _, member = rest.partition("!")
    where = gdal_path(plain_path(f"{'+'.join(inner)}://{archive}")) if inner and inner != ["file"] else archive
    return _ARCHIVES[outer] + where + (f"/{member.lstrip('/')}" if member else "")


def _file_of(text: str) -> str:
    """The file behind a URI's path; some programs do not encode it, so a file of the literal name takes precedence."""
    local = text if os.sep == "/" else text.lstrip("/")
    if os.path.lexists(local):
        return local
    return url2pathname(text.split("#")[0].split("?")[0])


def gdal_path(path: str | Path) -> str:
    """The path as GDAL itself spells it: `s3://bucket/a.tif` is `/vsis3/bucket/a.tif`.

    Not left to rasterio, which uses boto3 for credentials; GDAL finds them itself (environment, ~/.aws). A file whose
    name GDAL would take for something else, such as `AB:sheet.tif`, is given with its folder.
    """
    text = str(path)
    if found := SCHEME.match(text):
        home = GDAL_HOMES.get(found[1].lower())
        return text if home is None else home + text[found.end() :]
    if _is_prefixed_file(text) or text[:1].isspace():
        return str(Path(text).absolute())
    return text


def is_file_path(path: str | Path) -> bool:
    """Whether the path is in this machine's file system, so that its existence can be checked.

    `AB:sheet.tif` is a file where there is such a file, else something that GDAL's driver AB may know.
    """
    text = str(path)
    if SCHEME.match(text) or text.startswith("/vsi"):
        return False
    return not DRIVER.match(text) or _is_prefixed_file(text)


def _is_prefixed_file(text: str) -> bool:
    return DRIVER.match(text) is not None and os.path.lexists(text)


def is_there(path: str | Path) -> bool:
    """Whether the path exists; False if the system refuses to check, as for a name that is too long."""
    return os.path.exists(path)  # noqa: PTH110 (pathlib's raises)


def is_folder(path: str | Path) -> bool:
    """Whether the path is a folder; see `is_there`."""
    return os.path.isdir(path)  # noqa: PTH112


def is_remote(path: str | Path) -> bool:
    """Whether the bytes come over a network, through an archive or not."""
    return REMOTE.search(gdal_path(path)) is not None


def redact(text: str | Path) -> str:
    """A path, or a sentence with paths in it, without possible secrets: queries (signatures, tokens) and logins."""
    return LOGIN.sub(r"\1", QUERY.sub(r"\1\2", str(text)))


def scene_name(path: str | Path) -> str:
    """The file's name without folder, suffix and query; output names come from it."""
    text = str(path)
    if is_file_path(path):
        return Path(text).stem
    if asked := re.search(r"/vsi\w+\?(?:.*&)?url=([^&]+)", text):
        text = unquote(asked[1])
    if "://" in text:
        text = unquote(urlsplit(text).path)
    return PurePosixPath(text.rstrip("/")).stem or "scene"
