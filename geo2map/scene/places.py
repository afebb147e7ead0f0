"""The files that an address stands for, and whether a file that GDAL lists is within a folder."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from rasterio.env import get_gdal_config

from geo2map.files.address import DRIVER, SCHEME, gdal_path
from geo2map.scene.documents import is_inline

PREFIX = re.compile(r"[A-Za-z][\w+.-]+:")
"""Prefix of addresses, and of drivers that take more than a path; two characters at least."""
ARCHIVE = re.compile(r"/vsi(?:zip|tar|7z|rar)/(?:.*\.(?:zip|kmz|dwf|ods|xlsx|tar|tgz|gz|7z|rar)|.*\})(?=/|$)", re.I)
SERVER = re.compile(r"/vsi(?!zip|tar|7z|rar|gzip|subfile|crypt|sparse|cached|stdin)\w+/(?:\w+://)?[^/]+(?=/|$)", re.I)
"""The part of a virtual path that is a whole archive, or a server or bucket: VRTs below it may name what is in it."""
PACKED = re.compile(r"/vsi(?:zip|tar|7z|rar|gzip|subfile|crypt|sparse|cached)/", re.I)
READ_BESIDE = (".ovr", ".msk", ".aux.xml")
"""Suffixes of the files beside a raster that GDAL reads with any of its drivers: overviews, masks, metadata."""
TEXTS = re.compile(r"\.(?:aux\.xml|prj|tab|wld|[tjpgb]\w{1,3}w)$", re.I)
"""Suffixes of sidecars without pixels."""
SELF_CONTAINED = frozenset({"GTiff", "COG", "PNG", "JPEG", "GIF", "BMP", "WEBP", "JP2OpenJPEG"})
"""Drivers that read pixels from the file itself alone: a link to a text elsewhere (git-annex) reveals nothing then."""


def is_spelled_otherwise(name: str) -> bool:
    """Whether a name is not a path but that of a driver or of a file in an archive; URLs do not count."""
    return bool(PACKED.match(name) or (PREFIX.match(name) and not SCHEME.match(name)))


def stays(inner: str) -> bool:
    """Whether a relative path stays below its base."""
    return not posixpath.normpath(inner).startswith(("..", "/"))


def places_in(address: str) -> list[str]:
    """The files that an address names, as GDAL spells them: of `NETCDF:"a.nc":b` it is `a.nc`.

    A document instead of a path has the working directory for its folder.
    """
    if is_inline(address):
        return [address]
    if address.startswith("vrt://"):
        return places_in(gdal_path(address.removeprefix("vrt://").partition("?")[0]))
    if address.startswith("/vsi"):
        return [address]
    if SCHEME.match(address):
        return []
    if not DRIVER.match(address):
        return [address]
    cuts = [found.start() for found in re.finditer(r'[:",?&]|$', address) if address[found.start() :][:3] != "://"]
    pieces = {address[first + 1 : last] for first in cuts for last in cuts if first + 1 < last}
    return [piece for piece in sorted(pieces) if piece.startswith("/vsi") or Path(piece).is_file()]


def lies_within(file: str, folder: str | None, document: str, driver: str = "") -> bool:
    """Whether a file that GDAL lists for a document is in a folder, links resolved.

    Sidecars that belong to the document by their names count as within, too: they are beside a link to it, are links to
    texts that no pixels can be read from, or are where GDAL was told to keep them.

    Args:
        file: as GDAL spells it.
        folder: absolute, of this machine or GDAL's; None where only files beside the document are within.
        document: what was opened.
        driver: which read it.
    """
    if file == document or is_inline(file):
        return True
    if not file.startswith("/vsi") and (places := places_in(file)) != [file]:
        return bool(places) and all(lies_within(place, folder, document, driver) for place in places)
    if document.startswith("/vsi"):
        return file.startswith("/vsi") and _is_below(file, folder or posixpath.dirname(document), document)
    if file.startswith("/vsi"):
        inner = PACKED.sub("", file, count=1).lstrip("{")
        return bool(PACKED.match(file)) and Path(inner).resolve().is_relative_to(Path(document).resolve())
    real = Path(file).resolve()
    if folder is not None and not folder.startswith("/vsi") and real.is_relative_to(folder):
        return True
    beside, opened = (Path(os.path.abspath(path)) for path in (file, document))  # noqa: PTH100 (keeps links)
    return _is_sidecar(beside, real, opened, may_link=driver in SELF_CONTAINED)


def _is_below(file: str, folder: str, document: str) -> bool:
    plain, home, whole = (posixpath.normpath(path.partition("?")[0]) for path in (file, folder, document))
    return plain.startswith((f"{home}/", f"{whole}/")) or plain == whole


def _is_sidecar(file: Path, real: Path, document: Path, *, may_link: bool) -> bool:
    proxies = get_gdal_config("GDAL_PAM_PROXY_DIR", normalize=False)
    if proxies and real.is_relative_to(Path(str(proxies)).resolve()):
        return True
    if file.parent != document.parent or not file.name.lower().startswith(document.stem.lower()):
        return False
    return real.parent == document.parent.resolve() or (may_link and TEXTS.search(file.name) is not None)
