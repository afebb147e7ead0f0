"""Whether a raster stays in its folder: an untrusted VRT may name any file of this machine, and any address.

A file is judged by its first bytes, whatever its name and wherever it is: on this machine, in an
archive or on a server. It is inspected before GDAL opens it, and so is every file it names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rasterio.env import get_gdal_config
from rasterio.io import DatasetReader

from geo2map.errors import SceneError
from geo2map.files.address import gdal_path, is_remote, redact
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.files.tiff import read_gdal_metadata
from geo2map.files.vsi import LARGEST_DOCUMENT, head_bytes, read_text
from geo2map.scene.documents import (
    FETCHERS,
    FOLLOWED,
    TILE_INDEXES,
    Kind,
    NamedFile,
    is_inline,
    kind_of,
    outside,
    overview_source,
    sources_of,
    untrusted,
)
from geo2map.scene.gdal import gdal_env, open_raster, opening
from geo2map.scene.places import (
    ARCHIVE,
    PREFIX,
    READ_BESIDE,
    SERVER,
    is_spelled_otherwise,
    lies_within,
    places_in,
    stays,
)
from geo2map.scene.vrt_sources import vrt_document
from geo2map.threads import start_threads

DEEPEST = 8
MOST = 100_000
"""Files that one scene may consist of."""
_AT_ONCE = 16


class Trust:
    """Refuses a scene that makes GDAL open files outside its folder.

    Raises:
        SceneError: by both methods; a VRT with sources elsewhere, at addresses, or with code in it; a document that
            names a server.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._walks = [_Walk.at(self._path, place) for place in places_in(gdal_path(path))]

    def before_opening(self) -> None:
        """Inspects the scene's files before any driver opens them."""
        with gdal_env(self._path):
            for walk in self._walks:
                walk.look_through(walk.start)

    def after_opening(self, dataset: DatasetReader) -> None:
        """Inspects the opened dataset, before its pixels are read."""
        with opening(self._path):
            for file in dataset.files if self._walks else ():
                if not any(walk.holds(file, dataset.driver) for walk in self._walks):
                    raise outside(self._path, file)
            for walk in self._walks:
                walk.look_at_opened(dataset, walk.start)


@dataclass
class _Walk:
    """The walk from a file through all files that it refers to.

    Attributes:
        asked: the scene as it was given, for errors.
        start: the file, as GDAL spells it, links resolved.
        given: the file before that.
        folder: the one not to leave, of this machine or GDAL's; None where a document may name nothing at all.
        within: whether the scene is spelled as something in, or made of, the file: `vrt://a.tif?bands=1`.
        kinds: of every inspected file, None if it is not a document, or missing.
        heads: first bytes of files to be inspected next.
        listed: files of folders, by their names in lower case.
    """

    asked: str
    start: str
    given: str
    folder: str | None
    within: bool = False
    kinds: dict[str, Kind | None] = field(default_factory=dict)
    heads: dict[str, bytes | None] = field(default_factory=dict)
    listed: dict[Path, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def at(cls, asked: str, place: str) -> _Walk:
        """The walk that begins at a file, or at a document given instead of one."""
        if is_inline(place):
            return cls(asked, place, place, str(Path.cwd()), within=True)
        within = place != gdal_path(asked)
        if not place.startswith("/vsi"):
            real = Path(place).resolve()
            return cls(asked, str(real), place, str(real.parent), within=within)
        home = posixpath.dirname(place.partition("?")[0])
        return cls(asked, place, place, home if ARCHIVE.match(home) or SERVER.match(home) else None, within)

    def holds(self, file: str, driver: str) -> bool:
        """Whether a file that GDAL lists for the scene is one that it may read."""
        return file == gdal_path(self.asked) or lies_within(file, self.folder, self.given, driver)

    def look_through(self, place: str, depth: int = 0) -> None:
        """Inspects a file, its sidecars, and all files that they refer to."""
        if is_inline(place):
            self._follow(sources_of(place.encode(errors="replace"), self.asked), self.folder, depth)
            return
        if place in self.kinds:
            return
        kind = self._look(place, depth)
        for beside in self._beside(place, depth):
            if beside not in self.kinds:
                self._look(beside, depth)
        if depth and kind is None and not _is_plain_tiff(place):
            self._open(place, depth)

    def look_at_opened(self, dataset: DatasetReader, place: str, depth: int = 0) -> None:
        """Inspects a dataset: its driver, its overviews, and the files that GDAL lists for it."""
        driver = dataset.driver
        if depth or not self.within:
            if driver in FETCHERS:
                raise untrusted(self.asked, "reads its pixels from elsewhere")
            if driver in FOLLOWED and self.kinds.get(place) != "followed":
                raise untrusted(self.asked, "refers to other files and could not be inspected")
        home = self._home(place)
        if driver == "VRT" and place.startswith("/vsi"):  # a server may answer differently the second time
            self._follow(sources_of(vrt_document(dataset).encode(), self.asked), home, depth)
        if named := dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
            self._follow([overview_source(named)], home, depth)
        for file in dataset.files:
            listed = file if file.startswith("/vsi") or is_inline(file) else str(Path(file).resolve())
            if listed not in self.kinds and not is_inline(listed):
                self._look(listed, depth + 1)

    def _look(self, place: str, depth: int) -> Kind | None:
        """What a file is; follows a document."""
        if TILE_INDEXES.search(place):
            raise untrusted(self.asked, "is a list of rasters elsewhere")
        if len(self.kinds) >= MOST:
            raise untrusted(self.asked, f"refers to more than {MOST:,} files")
        head = self.heads.pop(place) if place in self.heads else read_text(place, head_bytes())
        kind = self.kinds[place] = kind_of(head) if head else None
        if head is None and depth and place.startswith("/vsi") and not place.endswith(READ_BESIDE):
            raise SceneError(f"{redact(self.asked)} refers to {redact(place)}, which cannot be read; check that file")
        if kind == "fetching":
            raise untrusted(self.asked, "reads its pixels from elsewhere")
        if kind is not None:
            text = read_text(place) or b""
            if len(text) >= LARGEST_DOCUMENT:
                raise untrusted(self.asked, "is larger than 64 MiB, too large to inspect")
            self._follow(sources_of(text, self.asked, kind), self._home(place), depth)
        return kind

    def _follow(self, sources: Iterable[NamedFile], home: str | None, depth: int) -> None:
        """Every source of a document: inside, and if it is a document itself, with sources inside.

        Args:
            home: the folder that relative paths count from.
        """
        if depth > DEEPEST:
            raise untrusted(self.asked, f"is a chain of more than {DEEPEST} VRTs")
        targets: list[str] = []
        for source in sources:
            if is_inline(source.name):
                self._follow(sources_of(source.name.encode(), self.asked), home, depth + 1)
            elif (target := self._target(source, home)) is None:
                raise self._refusal_of(source.name)
            else:
                targets.append(target)
        self._fetch_heads(targets)
        for target in dict.fromkeys(targets):
            self.look_through(target, depth + 1)

    def _target(self, source: NamedFile, home: str | None) -> str | None:
        """What GDAL opens for a name in a document, None if that is outside or cannot be determined."""
        name = source.name
        if self.folder is None or name.lstrip()[:1] in ("<", "{") or ":MRF:" in name:
            return None
        if not self.folder.startswith("/vsi"):
            if home is None or PREFIX.match(name) or name.startswith("/vsi"):
                return None
            target = (Path(home) / name if source.relative else Path(name)).resolve()
            return str(target) if target.is_relative_to(self.folder) else None
        if name.startswith(f"{self.folder}/"):
            return name if stays(name[len(self.folder) + 1 :].partition("?")[0]) else None
        if home is None or not source.relative or PREFIX.match(name) or name.startswith(("/", "\\")):
            return None
        inner = posixpath.normpath(posixpath.join(home[len(self.folder) :].lstrip("/"), name))
        return f"{self.folder}/{inner}" if stays(inner) else None

    def _refusal_of(self, name: str) -> SceneError:
        if is_spelled_otherwise(name):
            shown = redact(" ".join(name.split())[:120])
            return untrusted(self.asked, f"names its source by a driver or an archive, which is not inspected: {shown}")
        return outside(self.asked, name)

    def _home(self, place: str) -> str | None:
        """The folder to which a document's paths are relative; for an address with a query GDAL uses another one."""
        if is_inline(place):
            return self.folder
        if place.startswith("/vsi"):
            return None if "?" in place else posixpath.dirname(place)
        return str(Path(place).parent)

    def _beside(self, place: str, depth: int) -> list[str]:
        """Files that GDAL reads with another; no request is made where GDAL makes none."""
        if is_remote(place) and get_gdal_config("GDAL_DISABLE_READDIR_ON_OPEN", normalize=False) == "EMPTY_DIR":
            return []
        if depth == 0 or place.startswith("/vsi"):  # the rest is inspected after opening
            return [place + suffix for suffix in READ_BESIDE]
        folder, name = Path(place).parent, Path(place).name.lower()
        if folder not in self.listed:  # GDAL ignores case when it lists a folder
            self.listed[folder] = {}
            with suppress(OSError):
                for file in folder.iterdir():
                    self.listed[folder].setdefault(file.name.lower(), []).append(str(file))
        listed = self.listed[folder]
        return [str(Path(file).resolve()) for suffix in READ_BESIDE for file in listed.get(name + suffix, ())]

    def _open(self, place: str, depth: int) -> None:
        """Inspects a source as GDAL opens it; one that GDAL cannot open is reported when it is read.

        A file of the working directory is opened by its bare name, too: to that, GDAL joins absolute paths otherwise.
        """
        in_here = not place.startswith("/vsi") and Path(place).parent == Path.cwd()
        for spelled in (place, Path(place).name) if in_here else (place,):
            with suppress(*GDAL_ERRORS), open_raster(spelled) as dataset:
                for file in dataset.files:
                    if not lies_within(file, self.folder, spelled, dataset.driver):
                        raise outside(self.asked, file)
                self.look_at_opened(dataset, place, depth)

    def _fetch_heads(self, places: list[str]) -> None:
        """The first bytes of many remote files at once: each takes the time of a request."""
        wanted = [place for place in dict.fromkeys(places) if place not in self.kinds and is_remote(place)]
        if len(wanted) > 1:
            with start_threads(_AT_ONCE, "fetch") as pool:
                self.heads.update(zip(wanted, pool.map(_head, wanted), strict=True))


def _is_plain_tiff(place: str) -> bool:
    """Whether it is a local TIFF without the only tag that may refer elsewhere."""
    metadata = None if place.startswith("/vsi") else read_gdal_metadata(place)
    return metadata is not None and b"overview_file" not in metadata.lower()


def _head(place: str) -> bytes | None:
    with gdal_env(place):  # GDAL settings are per thread
        return read_text(place, head_bytes())
