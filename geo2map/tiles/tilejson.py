"""The TileJSON 3.0.0 document of a tile set: description, extent and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from geo2map.errors import TileSetError, ZoomError
from geo2map.features import KINDS_OF_COLUMNS, FeatureLayer, Style, feature_layers
from geo2map.features.style import palette_style
from geo2map.files.atomic import write_whole
from geo2map.files.encoding import read_text_file
from geo2map.grid import MAX_ZOOM, PixelWindow, lnglat_bounds, one_tile_zoom, window_latitude
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.statement import vector_layers_of, words_of
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
"""geo2map's texts, in any container."""


@dataclass(frozen=True)
class TileSet:
    """Description of a tile set. A value; holds no time and no local path.

    Attributes:
        name: display name, usually the scene's.
        format: tile format.
        minzoom, maxzoom: range of zooms.
        window: exact footprint of the scene in global pixels at `maxzoom`; continues beyond the world's right edge if
            the scene crosses the antimeridian.
        extra: JSON-able facts such as the model and its colours, stored under the key "geo2map".
        scheme: row order of a folder's files: "xyz" from the north, "tms" from the south. Ignored by other containers.
        words: texts by `geo2map.tiles.statement.WORDS` that replace geo2map's defaults.
        others_layers: layers of another program's vector tiles, as its metadata list them.

    Raises:
        ZoomError: `minzoom` and `maxzoom` are not in order or out of range.
        TileSetError: the window is empty, the format unknown, or `extra` is not JSON-able.
    """

    name: str
    format: TileFormat
    minzoom: int
    maxzoom: int
    window: PixelWindow
    extra: Mapping[str, Any] = field(default_factory=dict)
    scheme: Scheme = "xyz"
    words: Mapping[str, str] = field(default_factory=dict)
    others_layers: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.minzoom <= self.maxzoom <= MAX_ZOOM:
            raise ZoomError(f"zooms {self.minzoom} to {self.maxzoom}: give two from 0 to {MAX_ZOOM}, in order")
        if self.format not in get_args(TileFormat):
            raise TileSetError(f"tile format {self.format!r}: unknown; give one of {', '.join(get_args(TileFormat))}")
        if self.window.empty:
            raise TileSetError(f"tile set {self.name!r}: empty window {tuple(self.window)}; give at least one pixel")
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
            **({"vector_layers": self.vector_layers} if self.format == "mvt" else {}),
            **{key: text for key, text in words.items() if text},
            "geo2map": {"window": list(self.window), **self.extra},
        }

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of further layers."""
        found: Any = self.extra.get("layers", ())
        return tuple(str(name) for name in found) if isinstance(found, list | tuple) else ()

    @property
    def vector_layers(self) -> list[dict[str, Any]]:
        """The layers of vector tiles, as TileJSON, MBTiles and PMTiles state them."""
        if self.others_layers:
            return [dict(layer) for layer in self.others_layers]
        return [
            {
                "id": layer.name,
                "fields": {name: KINDS_OF_COLUMNS[name] for name in layer.columns},
                "minzoom": self.minzoom if "highway" in layer.classes else max(self.minzoom, layer.first_zoom),
                "maxzoom": self.maxzoom,
            }
            for layer in self.feature_layers.values()
        ]

    @property
    def feature_layers(self) -> dict[str, FeatureLayer]:
        """The layers of features of the map, by name, the lowest first; empty for another program's."""
        return feature_layers(str(name) for name, _ in self.extra.get("legend", ()))

    @property
    def is_imagery(self) -> bool:
        """Whether it shows imagery that geo2map tiled without a model."""
        return self.extra.get("model") == ""

    @property
    def palette_style(self) -> Style:
        """The style of features in the colours of the map's legend."""
        return palette_style((str(name), tuple(colour)) for name, colour in self.extra.get("legend", ()))

    @property
    def unit(self) -> str:
        """Unit of grey levels, see `geo2map.tiles.layer.Layer`; "" for colours."""
        return str(self.extra.get("unit", ""))

    @property
    def is_drawn(self) -> bool:
        """Whether a model rendered it."""
        return bool(self.extra.get("model"))

    @property
    def attribution(self) -> str:
        """Attribution; "" for another program's tile set without one."""
        return self._text_or_default("attribution", ATTRIBUTION, SOURCE_ATTRIBUTION)

    @property
    def description(self) -> str:
        """Description in a sentence; "" for another program's tile set without one."""
        return self._text_or_default("description", DESCRIPTION, SOURCE_DESCRIPTION)

    def all_words(self) -> dict[str, str]:
        """Texts for an archive: those given, else geo2map's defaults for its outputs."""
        own = {"type": "overlay", "version": "1"} if "model" in self.extra else {}
        said = {"attribution": self.attribution, "description": self.description}
        return {key: text for key, text in {**own, **said, **self.words}.items() if text}

    def _text_or_default(self, word: str, drawn: str, cut: str) -> str:
        own = drawn if self.is_drawn else cut if self.is_imagery else ""
        return self.words.get(word, own)

    @property
    def row(self) -> str:
        """Row placeholder in a URL template for clients where {y} counts from the north (Leaflet, QGIS)."""
        return "{-y}" if self.scheme == "tms" else "{y}"

    def write(self, folder: Path) -> None:
        """Write the document as tilejson.json, atomically.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(Path(folder) / FILE_NAME, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The document as UTF-8 JSON; lone surrogates are escaped."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2, allow_nan=False)
        return f"{text}\n".encode(errors="backslashreplace")

    @classmethod
    def load(cls, folder: Path) -> TileSet | None:
        """Read a folder's tilejson.json.

        Returns:
            None without one, or if another program wrote it (no "geo2map" key).

        Raises:
            TileSetError: the file is damaged.
        """
        path = Path(folder) / FILE_NAME
        try:
            document = json.loads(read_text_file(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TileSetError(f"{path}: not valid JSON ({error}); delete it or create it again") from error
        if not isinstance(document, dict):
            raise TileSetError(f"{path}: not a JSON object; delete it or create it again")
        return cls.parse(document, path) if "geo2map" in document else None

    @classmethod
    def parse(cls, document: dict[str, Any], path: Path) -> TileSet:
        """A tile set from its document.

        Args:
            path: for messages.

        Raises:
            TileSetError: it is damaged.
        """
        try:
            extra = dict(document["geo2map"])
            window = PixelWindow(*(int(value) for value in extra.pop("window")))
            zooms = int(document["minzoom"]), int(document["maxzoom"])
            scheme: Scheme = "tms" if document.get("scheme") == "tms" else "xyz"
            words, listed = foreign_words(document, extra), foreign_layers(document, extra)
            return cls(str(document["name"]), document["format"], *zooms, window, extra, scheme, words, listed)
        except (KeyError, TypeError, ValueError) as error:
            raise TileSetError(
                f"{path}: invalid ({type(error).__name__}: {error}); delete it or create it again"
            ) from error


def foreign_words(facts: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, str]:
    """Texts of a tile set other than geo2map's defaults.

    Args:
        facts: metadata of its container.
        extra: geo2map's facts; without them, "overlay" and "1" are not defaults.
    """
    own = _OWN_WORDS if "model" in extra else {key: _OWN_WORDS[key] for key in ("attribution", "description")}
    return {key: text for key, text in words_of(facts).items() if text not in own.get(key, ())}


def foreign_layers(facts: Mapping[str, Any], extra: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The layers of another program's vector tiles; () for those of geo2map, which follow from its legend.

    Args:
        facts: metadata of their container.
        extra: geo2map's facts.
    """
    return () if "legend" in extra else vector_layers_of(facts)


def read_scheme(folder: Path) -> Scheme | None:
    """Row order of a folder that geo2map wrote; None if its tilejson.json is missing or another program's."""
    if (document := _own_document(folder)) is None:
        return None
    return "tms" if document.get("scheme") == "tms" else "xyz"


def read_suffix(folder: Path) -> str | None:
    """Suffix of the tiles of a folder that geo2map wrote; None as for `read_scheme`, or if not stated."""
    found = (_own_document(folder) or {}).get("format")
    return next((suffix for format, suffix in SUFFIXES.items() if format == found), None)


def _own_document(folder: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(read_text_file(folder / FILE_NAME))
    except (OSError, ValueError):  # reported by `TileSet.load`
        return None
    return document if isinstance(document, dict) and "geo2map" in document else None


def _check_extra(extra: Mapping[str, Any]) -> None:
    if "window" in extra:
        raise TileSetError("extra key 'window': reserved; give the fact another name")
    try:
        json.dumps(dict(extra), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TileSetError(f"extra facts of a tile set: not JSON-able ({error}); use plain values") from error
