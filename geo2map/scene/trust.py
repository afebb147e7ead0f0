"""Whether a raster stays in its folder: a VRT from a stranger may name any file of this machine, and any address.

What counts as a path in a VRT: https://gdal.org/drivers/raster/vrt.html. GDAL's parser takes attributes for elements
and does not look at case, so neither does this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from rasterio.io import DatasetReader

from geo2map.errors import SceneError
from geo2map.files.address import is_file_path, redact

HEAD_BYTES = 4096
"""GDAL looks for its documents in less than that."""
LARGEST = 64 * 2**20
DEEPEST = 8
SIDECARS = ("", ".ovr", ".msk")
"""GDAL reads overviews and masks beside a file with any of its drivers."""
FETCHING = (b"<gdal_wms", b"<wms_capabilities", b"<wmt_ms_capabilities", b"<wcs_gdal", b"<gdaltileindexdataset")
"""How documents begin that name servers or files, and are no VRTs."""
PATHS = re.compile(r"(filename|sourcedataset|dempath|_dem|url)(_\d+)?$")
METADATA = frozenset({"x_dataset", "y_dataset", "overview_file"})
"""Keys of metadata; GDAL opens what they name."""
LANGUAGE = "pixelfunctionlanguage"
ADVICE = "if you trust it, set allow_outside"


def require_inside(path: str | Path) -> None:
    """Refuses a file that makes GDAL open others outside its folder, before GDAL opens it.

    Scenes that are no files of this machine are left to `require_inside_opened`.

    Raises:
        SceneError: a VRT with sources elsewhere, at addresses, or with code in it; a document that names a server.
    """
    local = str(path).removeprefix("vrt://").split("?")[0] if str(path).startswith("vrt://") else str(path)
    if is_file_path(local) and Path(local).exists() and "<" not in local:
        _Walk(str(path), Path(local).resolve().parent).look(Path(local))


def require_inside_opened(dataset: DatasetReader, path: str) -> None:
    """The same for a VRT that came over a network or out of an archive, once it is open and before its pixels are read.

    Raises:
        SceneError: as `require_inside`.
    """
    if dataset.driver != "VRT" or is_file_path(path) or path.startswith("vrt://") or "<" in path:
        return
    text = "".join(f"{key}={value}" for key, value in dataset.tags(ns="xml:VRT").items())
    folder = path.split("?")[0].rpartition("/")[0] + "/"
    for source, relative in _paths(_parsed(text, path), path):
        beside = relative and is_file_path(source) and not Path(source).is_absolute() and ".." not in source
        if not (beside or source.startswith(folder)) or ".." in source or source.lower().endswith(".vrt"):
            raise _outside(path, source)


@dataclass
class _Walk:
    """From a file through the VRTs that it leads to.

    Attributes:
        asked: the file as it was given, for errors.
        folder: the one not to leave.
        seen: documents that were looked at.
    """

    asked: str
    folder: Path
    seen: set[Path] = field(default_factory=set)

    def look(self, file: Path, depth: int = 0) -> None:
        """Looks at a file and at what lies beside it; follows a VRT to its sources."""
        for suffix in SIDECARS:
            beside = file.with_name(file.name + suffix).resolve()
            if not beside.is_file() or beside in self.seen:
                continue
            with beside.open("rb") as opened:
                head = opened.read(HEAD_BYTES).lower()
            if any(start in head for start in FETCHING):
                raise self._refusal("fetches its pixels from elsewhere")
            if b"<vrtdataset" in head:
                self.seen.add(beside)
                if beside.stat().st_size > LARGEST:
                    raise self._refusal("is larger than 64 MiB, too large to look through")
                self._follow(beside.read_bytes().decode("utf-8", "replace"), beside.parent, depth)

    def _follow(self, text: str, home: Path, depth: int) -> None:
        """Every source of a document: inside, and if it is a document itself, with sources inside.

        Args:
            home: the folder that relative paths count from.
        """
        if depth > DEEPEST:
            raise self._refusal(f"leads from VRT to VRT more than {DEEPEST} times")
        for source, relative in _paths(_parsed(text, self.asked), self.asked):
            if "<vrtdataset" in source.lower():
                self._follow(source, home, depth + 1)
                continue
            target = (home / source if relative else Path(source)).resolve()
            if not is_file_path(source) or not target.is_relative_to(self.folder):
                raise _outside(self.asked, source)
            self.look(target, depth + 1)

    def _refusal(self, fault: str) -> SceneError:
        return SceneError(f"{redact(self.asked)} {fault}; {ADVICE}", option="allow_outside")


def _parsed(text: str, asked: str) -> ET.Element:
    if "<!" in re.sub(r"<!--|<!\[CDATA\[", "", text):
        raise SceneError(f"{redact(asked)} is a VRT with declarations of its own; {ADVICE}", option="allow_outside")
    try:
        return ET.fromstring(text[text.find("<") :])
    except ET.ParseError as error:
        raise SceneError(f"{redact(asked)} is not a well-formed VRT ({error}); check the file") from error


def _paths(root: ET.Element, asked: str) -> Iterator[tuple[str, bool]]:
    """What in a VRT GDAL may open, and whether it counts from the VRT's own folder."""
    for element in root.iter():
        tag = _plain(element.tag)
        attributes = {_plain(name): value for name, value in element.attrib.items()}
        text = (element.text or "").strip()
        if "python" in (attributes.get(LANGUAGE, "") + (text if tag == LANGUAGE else "")).lower():
            raise SceneError(f"{redact(asked)} has Python code in it, which is never run; convert it first")
        if any(_plain(child.tag) == "relativetovrt" for child in element):
            raise SceneError(f"{redact(asked)} spells its sources in an unusual way; {ADVICE}", option="allow_outside")
        if text and _is_path(tag, attributes, text):
            yield text, attributes.get("relativetovrt", "0").strip() not in ("", "0")
        yield from ((value, False) for name, value in attributes.items() if PATHS.search(name))


def _is_path(tag: str, attributes: dict[str, str], text: str) -> bool:
    """Whether the text of an element may name a file."""
    key, name = (attributes.get(word, "").lower() for word in ("key", "name"))
    if tag == "mdi":
        return key in METADATA
    if tag == "ooi" and re.search(r"[/\\]", text):
        return True
    return any(PATHS.search(word) for word in (tag, key, name))


def _plain(name: str) -> str:
    return name.rpartition("}")[2].lower()


def _outside(asked: str, source: str) -> SceneError:
    return SceneError(
        f"{redact(asked)} points outside its folder, at {redact(' '.join(source.split())[:120])}; {ADVICE}",
        option="allow_outside",
    )
