"""Lists of scenes: a text file with one path a line, or STAC items in one JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geo2map.errors import SceneError
from geo2map.files.address import is_file_path, plain_path
from geo2map.files.encoding import read_text_file

LISTS = frozenset({".txt", ".json", ".geojson"})
_PICTURE = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")


def is_list(path: str | Path) -> bool:
    """Whether a local path is that of a list, by its suffix."""
    return is_file_path(path) and Path(path).suffix.lower() in LISTS


def read_list(path: str | Path) -> list[str]:
    """The scenes of a list, in its order: paths are relative to the file.

    Of a STAC ItemCollection or Item the asset of role "visual", else the only one of role "data"; no library is needed
    for these few members, and links are not followed.

    Raises:
        SceneError: no such file, not a list, an item without such an asset, or none at all.
    """
    path = Path(path)
    try:
        text = read_text_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SceneError(f"list of scenes not found: {path}; check the path") from error
    except UnicodeDecodeError as error:
        raise SceneError(f"list of scenes {path} is neither UTF-8 nor UTF-16 text; save it as UTF-8") from error
    except OSError as error:
        raise SceneError(
            f"cannot read the list of scenes {path}: {error.strerror}; check its name and permissions"
        ) from error
    if path.suffix.lower() == ".txt":
        lines = (line.strip() for line in text.splitlines())
        named = [line for line in lines if line and not line.startswith("#")]
    else:
        named = [_choose(path, item) for item in _items(path, text)]
    if not named:
        raise SceneError(f"{path} lists no scenes")
    beside = path.resolve().parent
    return [_address(beside, name) for name in named]


def _items(path: Path, text: str) -> Sequence[Mapping[str, Any]]:
    try:
        found = json.loads(text)
        kind = found.get("type")
    except (ValueError, AttributeError) as error:
        raise SceneError(f"{path} is not a list of scenes: JSON must be a STAC ItemCollection") from error
    if kind in ("Catalog", "Collection"):
        raise SceneError(
            f"{path} is a STAC {kind}, whose items are elsewhere; give an ItemCollection, as pystac-client's search "
            "saves one"
        )
    items = [found] if kind == "Feature" else found.get("features")
    if not isinstance(items, list) or not all(isinstance(item, dict) and "assets" in item for item in items):
        raise SceneError(f"{path} is not a STAC ItemCollection: its features have no assets")
    return items


def _choose(path: Path, item: Mapping[str, Any]) -> str:
    """The address of the asset that shows an item as colours."""
    name, assets = item.get("id", "an item"), item["assets"]
    try:
        by_role = {
            role: [key for key, asset in assets.items() if role in (asset.get("roles") or ())]
            for role in ("visual", "data")
        }
        visual = by_role["visual"] or [key for key in ("visual",) if key in assets]
        if visual:  # the same picture in several formats
            key = min(visual, key=lambda key: (key != "visual", not str(assets[key].get("type")).startswith(_PICTURE)))
        elif len(by_role["data"]) == 1:
            key = by_role["data"][0]
        else:
            count = len(by_role["data"])
            raise SceneError(
                f"{name} in {path} has no asset of role visual, and {count or 'none'} of role data: a scene is one "
                "raster with all bands; list the files in a text file"
            )
        return str(assets[key]["href"])
    except (AttributeError, KeyError, TypeError) as error:
        raise SceneError(f"{name} in {path} is not a valid STAC item: check its assets") from error


def _address(beside: Path, name: str) -> str:
    plain = plain_path(name)
    return str(beside / plain) if is_file_path(plain) or os.path.lexists(beside / plain) else plain
