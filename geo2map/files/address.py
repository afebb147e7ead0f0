"""Where scenes are: files, URLs, GDAL's virtual paths; how GDAL spells them, and what may be shown of them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

GDAL_HOMES = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "ftp": "/vsicurl/ftp://"} | {
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two characters at least: C:\ is a drive
DRIVER = re.compile(r"[A-Z][A-Z0-9_]+:")  # as in NETCDF:file.nc:band
REMOTE = re.compile(r"/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(?:_streaming)?[/?]")
QUERY = re.compile(r"(?:(?<=://)([^\s?'\"]+)|(/vsi\w+))\?(?:[^\s'\",]|,(?!\s))*|\?[^\s'\"=]+=(?:[^\s'\",]|,(?!\s))*")
LOGIN = re.compile(r"(://)[^\s/@'\"]+@")


def gdal_path(path: str | Path) -> str:
    """The path as GDAL itself spells it: `s3://bucket/a.tif` is `/vsis3/bucket/a.tif`.

    Not left to rasterio, which asks boto3 for credentials; GDAL finds them itself (environment, ~/.aws).
    """
    text = str(path)
    found = SCHEME.match(text)
    if found and (home := GDAL_HOMES.get(found[1].lower())):
        return home + text[found.end() :]
    return text


def is_file_path(path: str | Path) -> bool:
    """Whether the path is one of this machine's file system, so that one can look whether it exists."""
    text = str(path)
    return not (SCHEME.match(text) or text.startswith("/vsi") or DRIVER.match(text))


def is_remote(path: str | Path) -> bool:
    """Whether the bytes come over a network, through an archive or not."""
    return REMOTE.search(gdal_path(path)) is not None


def redact(text: str | Path) -> str:
    """A path, or a sentence with paths in it, without what may be secret: queries (signatures, tokens) and logins."""
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
