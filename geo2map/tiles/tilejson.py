"""The TileJSON 3.0.0 document beside a tile set: what it is, where it lies, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from geo2map.errors import TileSetError, ZoomError
from geo2map.files.atomic import write_whole
from geo2map.files.encoding import read_text_file
from geo2map.grid import MAX_ZOOM, PixelWindow, lnglat_bounds, one_tile_zoom, window_latitude
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.statement import words_of
from geo2map.types import Scheme, TileFormat

FILE_NAME = "tilejson.json"
ATTRIBUTION = "Map drawn by a neural network (geo2map) from imagery; not surveyed"
SOURCE_ATTRIBUTION = "Source imagery"
DESCRIPTION = "Map tiles made by geo2map from satellite or aerial imagery with a generative model; not surveyed"
SOURCE_DESCRIPTION = "Satellite or aerial imagery cut into map tiles by geo2map"
_OWN_WORDS = {
    "attribution": {ATTRIBUTION, SOURCE_ATTRIBUTION},
    "description": {DESCRIPTION, SOURCE_DESCRIPTION},
    "type": {"overlay"},
    "version": {"1"},
}
"""What geo2map itself writes of its sets, in whatever container."""


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
        words: what others say of it (`geo2map.tiles.statement.WORDS`), in place of geo2map's own words.

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
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.minzoom <= self.maxzoom <= MAX_ZOOM:
            raise ZoomError(f"zooms {self.minzoom} to {self.maxzoom}: give two from 0 to {MAX_ZOOM}, in order")
        if self.format not in get_args(TileFormat):
            raise TileSetError(f"tile format {self.format!r}: unknown; give one of {', '.join(get_args(TileFormat))}")
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
        words = {"attribution": self.attribution, **self.words}
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
            **{key: text for key, text in words.items() if text},
            "geo2map": {"window": list(self.window), **self.extra},
        }

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of further layers beside this set."""
        found: Any = self.extra.get("layers", ())
        return tuple(str(name) for name in found) if isinstance(found, list | tuple) else ()

    @property
    def is_imagery(self) -> bool:
        """Whether geo2map cut it from imagery and no model drew it."""
        return self.extra.get("model") == ""

    @property
    def is_drawn(self) -> bool:
        """Whether a model drew it."""
        return bool(self.extra.get("model"))

    @property
    def attribution(self) -> str:
        """Whose work it is; "" where geo2map did not make it and nobody says."""
        return self._say("attribution", ATTRIBUTION, SOURCE_ATTRIBUTION)

    @property
    def description(self) -> str:
        """What it is, in a sentence; "" where geo2map did not make it and nobody says."""
        return self._say("description", DESCRIPTION, SOURCE_DESCRIPTION)

    def all_words(self) -> dict[str, str]:
        """What an archive says of the set: others' words, and geo2map's own of a set that it made."""
        own = {"type": "overlay", "version": "1"} if "model" in self.extra else {}
        said = {"attribution": self.attribution, "description": self.description}
        return {key: text for key, text in {**own, **said, **self.words}.items() if text}

    def _say(self, word: str, drawn: str, cut: str) -> str:
        own = drawn if self.is_drawn else cut if self.is_imagery else ""
        return self.words.get(word, own)

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
        """The document as UTF-8 JSON; a half surrogate is spelled as an escape."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2, allow_nan=False)
        return f"{text}\n".encode(errors="backslashreplace")

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
            document = json.loads(read_text_file(path))
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
            words = foreign_words(document, extra)
            return cls(str(document["name"]), document["format"], *zooms, window, extra, scheme, words)
        except (KeyError, TypeError, ValueError) as error:
            raise TileSetError(
                f"{path} is not as geo2map writes it ({type(error).__name__}: {error}): delete it or make it again"
            ) from error


def foreign_words(facts: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, str]:
    """What is said of a set in other words than geo2map's own.

    Args:
        facts: what its container says.
        extra: geo2map's facts; of a set that has none, "overlay" and "1" are others' words, too.
    """
    own = _OWN_WORDS if "model" in extra else {key: _OWN_WORDS[key] for key in ("attribution", "description")}
    return {key: text for key, text in words_of(facts).items() if text not in own.get(key, ())}


def read_scheme(folder: Path) -> Scheme | None:
    """How the files of a folder that geo2map made count rows; None where its tilejson.json is another's, or none."""
    if (document := _own_document(folder)) is None:
        return None
    return "tms" if document.get("scheme") == "tms" else "xyz"


def read_suffix(folder: Path) -> str | None:
    """How the names of tiles end in a folder that geo2map made; None as `read_scheme`, or where it does not tell."""
    found = (_own_document(folder) or {}).get("format")
    return next((suffix for format, suffix in SUFFIXES.items() if format == found), None)


def _own_document(folder: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(read_text_file(folder / FILE_NAME))
    except (OSError, ValueError):  # whoever reads the document says so
        return None
    return document if isinstance(document, dict) and "geo2map" in document else None


def _check_extra(extra: Mapping[str, Any]) -> None:
    if "window" in extra:
        raise TileSetError("the key 'window' is the tile set's own: give the extra fact another name")
    try:
        json.dumps(dict(extra), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TileSetError(
            f"the extra facts of a tile set must be spelled in JSON, but {error}: use plain values"
        ) from error
