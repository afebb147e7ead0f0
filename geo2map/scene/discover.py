"""Finding scenes: files, folders, patterns, URLs, lists."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from geo2map.errors import SceneError
from geo2map.files.address import is_file_path, is_folder, is_there, plain_path, scene_name
from geo2map.files.atomic import hidden_sibling
from geo2map.files.clutter import is_passed_over
from geo2map.files.tiff import read_gdal_metadata
from geo2map.files.vsi import HEAD, read_text
from geo2map.scene.catalogue import is_list, read_list
from geo2map.scene.causes import PICTURES, RASTERS

NAMED = 3
Found: TypeAlias = tuple[list[str], tuple[str, ...]]
"""Scenes, and notes on finding them."""


def find_scenes(asked: str | Path | Sequence[str | Path]) -> list[str]:
    """The scenes that paths, folders and patterns stand for, in the order given, each once.

    A folder stands for the rasters in it (not below it), by suffix; a pattern for those among its matches, or for
    all where none has such a suffix (`**` reaches into folders below). Both in natural order: sheet 2 before sheet 10,
    and without the maps that geo2map wrote there, see `find_imagery`.
    A .txt or .json stands for the scenes that it lists, see `read_list`. Anything else is kept as it is: whether it
    can be opened turns out later.

    Raises:
        SceneError: nothing given, a folder without rasters, a pattern without matches, a list that cannot be read.
    """
    return find_imagery(asked)[0]


def find_imagery(asked: str | Path | Sequence[str | Path]) -> Found:
    """The scenes, and a note on outputs of geo2map among them that were skipped.

    Raises:
        SceneError: as `find_scenes`.
    """
    if isinstance(asked, str | Path):
        asked = [asked]
    if not asked:
        raise SceneError("no scene given; give a raster, a folder or a pattern")
    own: dict[str, None] = {}
    scenes = dict.fromkeys(scene for path in asked for scene in _expand(str(path), own))
    named = [path for path in map(str, asked) if len(asked) > 1 and path in scenes and is_own_output(path)]
    return list(scenes), (
        *_say(
            [path for path in own if path not in scenes],
            "skipped; name it to use it as a scene",
            "skipped; name one to use it as a scene",
        ),
        *_say(named, "used as a scene, since it is named", "used as scenes, since they are named"),
    )


def _say(own: list[str], of_one: str, of_several: str) -> list[str]:
    """A note on outputs among the scenes; a shell's pattern matches them, too."""
    if not own:
        return []
    more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
    return [f"{', '.join(own[:NAMED])}{more}: made by geo2map, {of_one if len(own) == 1 else of_several}"]


def mosaic_name(asked: str | Path | Sequence[str | Path], scenes: Sequence[str]) -> str:
    """The common name of scenes: that of their list or folder if one list, folder or pattern was given, else of the
    first."""
    asked = [asked] if isinstance(asked, str | Path) else asked
    if len(asked) > 1 or len(scenes) < 2:
        return scene_name(scenes[0])
    if is_list(asked[0]):
        return scene_name(str(asked[0]))
    return Path(scenes[0]).resolve().parent.name or scene_name(scenes[0])


def _expand(path: str, own: dict[str, None]) -> list[str]:
    """The scenes that one path stands for; outputs of geo2map are appended to `own`."""
    path = plain_path(path)
    if not is_file_path(path):
        return [path]
    if is_folder(path):
        found = _natural(str(file) for file in Path(path).iterdir() if _is_scene(file))
        if not found:
            raise SceneError(f"no raster in folder {path}; give a folder with GeoTIFFs in it")
        return _without_own(found, own, f"every raster in folder {path}")
    if is_list(path) and (is_there(path) or not glob.has_magic(path)):
        return read_list(path)
    if is_there(path) or not glob.has_magic(path):
        return [path]
    matching = glob.iglob(path, recursive=True)  # noqa: PTH207 (pathlib has no absolute patterns)
    matches = _natural(match for match in matching if Path(match).is_file())
    if not matches:
        raise SceneError(f"no file matches {path}; check the pattern")
    found = [match for match in matches if _is_scene(Path(match))]
    return _without_own(found or matches, own, f"every raster that matches {path}")


def _without_own(found: list[str], own: dict[str, None], all_of_them: str) -> list[str]:
    made = [path for path in found if is_own_output(path)]
    own.update(dict.fromkeys(made))
    if len(made) == len(found):
        raise SceneError(f"{all_of_them} is an output of geo2map; name those that are to be scenes")
    return [path for path in found if path not in own]


def is_own_output(path: str | Path) -> bool:
    """Whether geo2map made a raster, or the source of a VRT: by its tags, or by a journal beside it."""
    path = Path(path)
    if hidden_sibling(path, "journal").exists():
        return True
    tags = read_gdal_metadata(path) if path.is_file() else b""
    if tags is None and path.suffix.lower() == ".vrt":
        return b'<MDI key="GEO2MAP">' in (read_text(str(path), HEAD) or b"")
    return b'<Item name="GEO2MAP">' in (tags or b"")


def _is_scene(file: Path) -> bool:
    suffix = file.suffix.lower()
    if is_passed_over(file.name) or not file.is_file():
        return False
    return suffix in RASTERS or (suffix in PICTURES and any(beside.exists() for beside in _places_of(file)))


def _places_of(picture: Path) -> Iterator[Path]:
    """Possible georeference files of an image: scan.png has scan.pgw, scan.pngw, scan.wld or scan.png.aux.xml."""
    suffix = picture.suffix
    for world in (suffix[1] + suffix[-1] + "w", suffix[1:] + "w", "wld"):
        yield picture.with_suffix(f".{world}")
        yield picture.with_suffix(f".{world.upper()}")
    yield picture.with_name(f"{picture.name}.aux.xml")


def _natural(paths: Iterable[str]) -> list[str]:
    """Natural sort key: digits by value, the rest by letters; the same on every machine."""
    return sorted(
        paths, key=lambda path: ([int(p) if p.isdigit() else p.lower() for p in re.split(r"(\d+)", path)], path)
    )
