"""Which scenes are meant: files, folders, patterns, URLs, lists."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from geo2map.errors import SceneError
from geo2map.files.address import is_file_path, plain_path, scene_name
from geo2map.scene.catalogue import is_list, read_list

RASTERS = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".img", ".mrf", ".ntf", ".nitf", ".sid", ".ecw", ".asc"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
"""Count as scenes where a world file or GDAL's .aux.xml lies beside them."""


def find_scenes(asked: str | Path | Sequence[str | Path]) -> list[str]:
    """The scenes that paths, folders and patterns stand for, in the order given, each once.

    A folder stands for the rasters in it (not below it), by suffix; a pattern for those among its matches, or for
    all where none has such a suffix (`**` reaches into folders below). Both in natural order: sheet 2 before sheet 10.
    A .txt or .json stands for the scenes that it lists, see `read_list`. Anything else is taken as it is: whether it
    opens is seen when it is opened.

    Raises:
        SceneError: nothing given, a folder without rasters, a pattern without matches, a list that is none.
    """
    if isinstance(asked, str | Path):
        asked = [asked]
    if not asked:
        raise SceneError("no scene given; name a raster, a folder or a pattern")
    return list(dict.fromkeys(scene for path in asked for scene in _expand(str(path))))


def mosaic_name(asked: str | Path | Sequence[str | Path], scenes: Sequence[str]) -> str:
    """What scenes are called together: as their list or folder where one list, folder or pattern was asked, else as the
    first."""
    asked = [asked] if isinstance(asked, str | Path) else asked
    if len(asked) > 1 or len(scenes) < 2:
        return scene_name(scenes[0])
    if is_list(asked[0]):
        return scene_name(str(asked[0]))
    return Path(scenes[0]).resolve().parent.name or scene_name(scenes[0])


def _expand(path: str) -> list[str]:
    path = plain_path(path)
    if not is_file_path(path):
        return [path]
    if Path(path).is_dir():
        found = _natural(str(file) for file in Path(path).iterdir() if _is_scene(file))
        if not found:
            raise SceneError(f"no raster in folder {path}; give a folder with GeoTIFFs in it")
        return found
    if is_list(path) and (Path(path).exists() or not glob.has_magic(path)):
        return read_list(path)
    if Path(path).exists() or not glob.has_magic(path):
        return [path]
    matching = glob.iglob(path, recursive=True)  # noqa: PTH207 (pathlib has no absolute patterns)
    matches = _natural(match for match in matching if Path(match).is_file())
    if not matches:
        raise SceneError(f"no file matches {path}; check the pattern")
    return [match for match in matches if _is_scene(Path(match))] or matches


def _is_scene(file: Path) -> bool:
    suffix = file.suffix.lower()
    if file.name.startswith(".") or not file.is_file():  # macOS leaves ._sheet.tif beside sheet.tif
        return False
    return suffix in RASTERS or (suffix in PICTURES and any(beside.exists() for beside in _places_of(file)))


def _places_of(picture: Path) -> Iterator[Path]:
    """Where the georeference of a picture may be: scan.png has scan.pgw, scan.pngw, scan.wld or scan.png.aux.xml."""
    suffix = picture.suffix
    for world in (suffix[1] + suffix[-1] + "w", suffix[1:] + "w", "wld"):
        yield picture.with_suffix(f".{world}")
        yield picture.with_suffix(f".{world.upper()}")
    yield picture.with_name(f"{picture.name}.aux.xml")


def _natural(paths: Iterable[str]) -> list[str]:
    """Sorted as people do: digits by their value, the rest by letters; the same on every machine."""
    return sorted(
        paths, key=lambda path: ([int(p) if p.isdigit() else p.lower() for p in re.split(r"(\d+)", path)], path)
    )
