"""The TileJSON 3.0.0 document beside a tile set: what it is, where it lies, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from geo2map.errors import TileSetError, ZoomError
from geo2map.files.atomic import write_whole
from geo2map.grid import MAX_ZOOM, PixelWindow, lnglat_bounds, one_tile_zoom, window_latitude
from geo2map.tiles.codec import SUFFIXES
from geo2map.types import Scheme, TileFormat

FILE_NAME = "tilejson.json"
ATTRIBUTION = "Map drawn by a neural network (geo2map) from imagery; not surveyed"
SOURCE_ATTRIBUTION = "Source imagery"


@dataclass(frozen=True)
class TileSet:
    """What is known of a tile set as a whole. A value; holds no time and no path of this machine.

    Attributes:
        name: what to call it, as a rule the scene's name.
        format: of its tiles.
        minzoom, maxzoom: its zooms.
        window: the exact footprint of the scene's pixels, global pixels at `maxzoom`; goes on over the world's right
            edge where the scene crosses the antimeridian.
        extra: JSON-able facts such as the model and its colours, kept under the key "geo2map".
        scheme: how the files of a folder count rows: "xyz" from the north, "tms" from the south. Means nothing to
            other containers.

    Raises:
        ZoomError: `minzoom` and `maxzoom` are not in order or out of range.
        TileSetError: the window is empty, the format unknown, or `extra` cannot be spelled as JSON.
    """

    name: str
    format: TileFormat
    minzoom: int
    maxzoom: int
    window: PixelWindow
    extra: Mapping[str, Any] = field(default_factory=dict)
    scheme: Scheme = "xyz"

    def __post_init__(self) -> None:
        if not 0 <= self.minzoom <= self.maxzoom <= MAX_ZOOM:
            raise ZoomError(
                f"zooms {self.minzoom} to {self.maxzoom} asked, but a tile set needs 0 to {MAX_ZOOM} in order"
            )
        if self.format not in get_args(TileFormat):
            raise TileSetError(f"tile format {self.format!r} asked, but geo2map has {', '.join(get_args(TileFormat))}")
        if self.window.empty:
            raise TileSetError(f"tile set {self.name!r} has the empty window {tuple(self.window)}: give it some pixels")
        _check_extra(self.extra)

    def to_dict(self) -> dict[str, Any]:
        """The document as plain JSON values; degrees are rounded to 9 places (0.1 mm)."""
        west, south, east, north = lnglat_bounds(self.window, self.maxzoom)
        middle = (west + east + 360) / 2 % 360 - 180
        if east > 180:  # TileJSON: bounds must not wrap around the antimeridian
            west, east = -180.0, 180.0
        bounds = [round(value, 9) for value in (west, south, east, north)]
        latitude = round(window_latitude(self.window, self.maxzoom), 9)
        zoom = max(self.minzoom, one_tile_zoom(self.window, self.maxzoom))
        return {
            "tilejson": "3.0.0",
            "name": self.name,
            "tiles": [f"./{{z}}/{{x}}/{{y}}{SUFFIXES[self.format]}"],
            "scheme": self.scheme,
            "minzoom": self.minzoom,
            "maxzoom": self.maxzoom,
            "bounds": bounds,
            "center": [round(middle, 9), latitude, zoom],
            "format": self.format,
            "attribution": self.attribution,
            "geo2map": {"window": list(self.window), **self.extra},
        }

    @property
    def is_imagery(self) -> bool:
        """Whether geo2map says of it that no model made it."""
        return self.extra.get("model") == ""

    @property
    def attribution(self) -> str:
        """Whose work it is."""
        return SOURCE_ATTRIBUTION if self.is_imagery else ATTRIBUTION

    @property
    def row(self) -> str:
        """What stands for a file's row in an address where {y} counts from the north, as Leaflet and QGIS have it."""
        return "{-y}" if self.scheme == "tms" else "{y}"

    def write(self, folder: Path) -> None:
        """Writes the document as tilejson.json, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(Path(folder) / FILE_NAME, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The document as UTF-8 JSON."""
        return (json.dumps(self.to_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()

    @classmethod
    def load(cls, folder: Path) -> TileSet | None:
        """Reads a folder's tilejson.json.

        Returns:
            None where there is none, or where it is another program's (it has no "geo2map" part).

        Raises:
            TileSetError: the file is damaged.
        """
        path = Path(folder) / FILE_NAME
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TileSetError(f"{path} cannot be read as JSON ({error}): delete it or make it again") from error
        if not isinstance(document, dict):
            raise TileSetError(f"{path} holds no JSON object: delete it or make it again")
        return cls._parse(document, path) if "geo2map" in document else None

    @classmethod
    def _parse(cls, document: dict[str, Any], path: Path) -> TileSet:
        try:
            extra = dict(document["geo2map"])
            window = PixelWindow(*(int(value) for value in extra.pop("window")))
            zooms = int(document["minzoom"]), int(document["maxzoom"])
            scheme: Scheme = "tms" if document.get("scheme") == "tms" else "xyz"
            return cls(str(document["name"]), document["format"], *zooms, window, extra, scheme)
        except (KeyError, TypeError, ValueError) as error:
            raise TileSetError(
                f"{path} is not as geo2map writes it ({type(error).__name__}: {error}): delete it or make it again"
            ) from error


def _check_extra(extra: Mapping[str, Any]) -> None:
    if "window" in extra:
        raise TileSetError("the key 'window' is the tile set's own: give the extra fact another name")
    try:
        json.dumps(dict(extra), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TileSetError(
            f"the extra facts of a tile set must be spelled in JSON, but {error}: use plain values"
        ) from error
