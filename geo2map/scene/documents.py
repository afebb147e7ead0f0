"""Documents that make GDAL open other files: how they begin, and what in them names a file.

What counts as a path in a VRT: https://gdal.org/drivers/raster/vrt.html. GDAL's parser takes attributes for elements
and ignores case, and so does this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from geo2map.errors import SceneError
from geo2map.files.address import redact

Kind = Literal["followed", "overviews", "fetching"]

FOLLOWED = {"VRT": b"<vrtdataset", "MRF": b"<mrf_meta"}
"""Drivers whose documents name further files, and how these begin."""
PAM = b"<pamdataset"
"""GDAL's .aux.xml, which may name a file of overviews."""
FETCHING = (
    b"<gdal_wms",
    b"<gdal_wmts",
    b"<wms_",
    b"<wmt_ms_capabilities",
    b"<capabilities",
    b"<wcs_gdal",
    b"<tilemap",
    b"<gdaltileindexdataset",
    b"<ogcapi",
    b'"stac_version"',
    b'"stac_extensions"',
    b'{"mapname"',
)
"""Content of documents that name servers or other files, and are not followed."""
FETCHERS = frozenset(["WMS", "WMTS", "WCS", "GTI", "STACTA", "STACIT", "OGCAPI", "HTTP", "PLMOSAIC", "EEDAI"])
"""The drivers that read them."""
TILE_INDEXES = re.compile(r"\.gti\.(?:gpkg|fgb|parquet)$", re.IGNORECASE)
"""Vector files that GDAL takes for lists of rasters, by their names."""
PATHS = re.compile(r"(filename|sourcedataset|dempath|_dem|url)(_\d+)?$")
MRF_PATHS = frozenset({"datafile", "indexfile", "source"})
METADATA = frozenset({"x_dataset", "y_dataset", "overview_file"})
"""Keys of metadata; GDAL opens the files they name."""
LANGUAGE = "pixelfunctionlanguage"
TRUST_ADVICE = "if you trust it, set allow_outside"


@dataclass(frozen=True)
class NamedFile:
    """A name in a document.

    Attributes:
        relative: whether it is relative to the document's folder.
    """

    name: str
    relative: bool


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file by its first bytes, None if it refers to no other."""
    text = head.lower()
    if any(start in text for start in FOLLOWED.values()):
        return "followed"
    if PAM in text:
        return "overviews"
    return "fetching" if any(mark in text for mark in FETCHING) else None


def is_inline(name: str) -> bool:
    """Whether GDAL takes a name for a document itself."""
    return any(start.decode() in name.lower() for start in FOLLOWED.values())


def untrusted(asked: str, fault: str) -> SceneError:
    """The error for a scene that is not opened unless allowed."""
    return SceneError(f"{redact(asked)} {fault}; {TRUST_ADVICE}", option="allow_outside")


def outside(asked: str, name: str) -> SceneError:
    """The error for a document that names a file elsewhere."""
    return untrusted(asked, f"refers to a file outside its folder, {redact(' '.join(name.split())[:120])}")


def sources_of(document: bytes, asked: str, kind: Kind = "followed") -> Iterator[NamedFile]:
    """The files that GDAL may open because of a document.

    Raises:
        SceneError: not well-formed, code in it, or spelled so that GDAL may understand it in another way.
    """
    text = document.decode("utf-8", "replace")
    if kind == "overviews" and "overview_file" not in text.lower():
        return
    root = _parsed(text, asked)
    if kind == "overviews":
        yield from (overview_source((e.text or "").strip()) for e in root.iter() if _key(e) == "overview_file")
        return
    mrf = _plain(root.tag) == "mrf_meta"
    for element in root.iter():
        for source in _named(element, asked, mrf):
            if "\ufffd" in source.name:
                raise untrusted(asked, "names a file in another encoding than UTF-8")
            yield source


def overview_source(name: str) -> NamedFile:
    """The file that `OVERVIEW_FILE` in a raster's metadata refers to."""
    return NamedFile(name.removeprefix(":::BASE:::"), name.startswith(":::BASE:::"))


def _parsed(text: str, asked: str) -> ET.Element:
    if "<!" in re.sub(r"<!--|<!\[CDATA\[", "", text):
        raise untrusted(asked, "is a VRT with declarations of its own")
    try:
        return ET.fromstring(text[text.find("<") :])
    except ET.ParseError as error:
        raise SceneError(f"{redact(asked)} is not a well-formed VRT ({error}); check the file") from error


def _named(element: ET.Element, asked: str, mrf: bool) -> Iterator[NamedFile]:
    """The paths in an element and its attributes."""
    tag = _plain(element.tag)
    attributes = {_plain(name): value for name, value in element.attrib.items()}
    text = (element.text or "").strip()
    if "python" in (attributes.get(LANGUAGE, "") + (text if tag == LANGUAGE else "")).lower():
        raise SceneError(f"{redact(asked)} contains Python code, which is never run; convert it first")
    relative = attributes.get("relativetovrt", "0").strip()
    if relative not in ("", "0", "1") or any(_plain(child.tag) == "relativetovrt" for child in element):
        raise untrusted(asked, "has sources spelled in an unusual way")
    if text and (_is_path(tag, attributes, text) or (mrf and tag in MRF_PATHS)):
        yield overview_source(text) if _key(element) == "overview_file" else NamedFile(text, mrf or relative == "1")
        if mrf and Path(text).exists():  # GDAL tries a cached MRF's source from the working directory, too
            yield NamedFile(text, False)
    yield from (NamedFile(value, False) for name, value in attributes.items() if PATHS.search(name))


def _is_path(tag: str, attributes: dict[str, str], text: str) -> bool:
    """Whether the text of an element may name a file."""
    key, name = (attributes.get(word, "").lower() for word in ("key", "name"))
    if tag == "mdi":
        return key in METADATA
    if tag == "ooi" and re.search(r"[/\\]", text):
        return True
    return any(PATHS.search(word) for word in (tag, key, name))


def _key(element: ET.Element) -> str:
    return next((value.lower() for name, value in element.attrib.items() if _plain(name) == "key"), "")


def _plain(name: str) -> str:
    return name.rpartition("}")[2].lower()
