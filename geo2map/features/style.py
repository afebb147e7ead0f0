"""Styles: in which colours and widths, and in which order, features are drawn.

A style is a small value that drawings, MapLibre and QGIS styles and legends are made from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError
from geo2map.features.areas import COVERAGE
from geo2map.files.encoding import read_text_file

Rgb = tuple[int, int, int]
Shape = Literal["area", "line", "casing"]
_HEX = re.compile("#[0-9a-f]{6}", re.IGNORECASE)
_LEAST_WIDTHS = {"road": 1.0, "highway": 1.6}
_CASING, _CASING_ZOOM = 0.7, 14
_AREAS = ("park", "water", "building")
"""Classes that are areas, the lowest first; classes of other legends lie below."""


@dataclass(frozen=True)
class Rule:
    """How one class is drawn in one place of the order.

    Attributes:
        kind: class of the features.
        shape: areas filled; lines as wide as the road; casings, wider than that by `more`.
        colour: levels, 0 to 255.
        least: width in pixels of the drawing that a line has at least.
        more: pixels that a casing shows on each side of its line, or around its area.
        least_zoom: zoom from which on it is drawn.
    """

    kind: str
    shape: Shape
    colour: Rgb
    least: float = 0.0
    more: float = 0.0
    least_zoom: int = 0


@dataclass(frozen=True)
class Paint:
    """How a class looks.

    Attributes:
        kind: the class.
        colour: of its areas and lines, levels 0 to 255.
        casing: colour of the edge around roads; None draws none.
    """

    kind: str
    colour: Rgb
    casing: Rgb | None = None


@dataclass(frozen=True)
class Style:
    """A way to draw features.

    Attributes:
        name: of the style.
        background: colour of what is nothing else.
        paints: the first is drawn first, and lies below; roads lie above all areas.
    """

    name: str
    background: Rgb
    paints: tuple[Paint, ...]

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """What is drawn, in order: areas, then roads, each class with its casing below it."""
        rules = [Rule(paint.kind, "area", paint.colour) for paint in self.paints if paint.kind not in _LEAST_WIDTHS]
        for kind, least in _LEAST_WIDTHS.items():
            for paint in self.paints:
                if paint.kind != kind:
                    continue
                if paint.casing is not None:
                    rules.append(Rule(kind, "casing", paint.casing, least + 2 * _CASING, _CASING, _CASING_ZOOM))
                rules += [Rule(kind, "area", paint.colour), Rule(kind, "line", paint.colour, least)]
        return tuple(rules)

    @property
    def ground(self) -> Rule:
        """The background, where it is drawn as an area."""
        return Rule(COVERAGE, "area", self.background)

    def colour_of(self, kind: str) -> Rgb:
        """The colour of a class, for a legend.

        Raises:
            DataError: the style does not draw it.
        """
        for paint in self.paints:
            if paint.kind == kind:
                return paint.colour
        raise DataError(f"style {self.name}: no class {kind}; it draws {', '.join(self.kinds)}", option="style")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Classes that are drawn."""
        return tuple(dict.fromkeys(paint.kind for paint in self.paints))

    def require_classes(self, classes: Iterable[str]) -> None:
        """Refuse a style for other maps.

        Raises:
            DataError: names a class that the map lacks.
        """
        known = tuple(dict.fromkeys(classes))
        if unknown := [kind for kind in self.kinds if kind not in known and kind not in MAPS_PALETTE.classes]:
            raise DataError(
                f"style {self.name}: class {unknown[0]!r} is not one of the map's; choose from {', '.join(known)}",
                option="style",
            )

    def to_dict(self) -> dict[str, Any]:
        """The style as plain JSON values, which `Style.of` takes."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @classmethod
    def of(cls, style: str | Path | Style | Mapping[str, Any]) -> Style:
        """A style by name, from a file, or from plain values.

        Raises:
            DataError: an unknown name, or not a style file.
        """
        if isinstance(style, Style):
            return style
        if isinstance(style, Mapping):
            paints = (
                Paint(each["kind"], _rgb(each["colour"]), each["casing"] and _rgb(each["casing"]))
                for each in style["paints"]
            )
            return cls(style["name"], _rgb(style["background"]), tuple(paints))
        if str(style) in STYLES:
            return STYLES[str(style)]
        return load_style(Path(style))


def load_style(path: Path) -> Style:
    """A style from a JSON file, such as
    {"background": "#24282f", "classes": {"water": "#17263c", "road": {"colour": "#5c626e", "casing": "#1c1f25"}}}.

    The classes are drawn in the order of the file, roads and highways above all others.

    Raises:
        DataError: no such file, or no style.
    """
    if not path.is_file():
        unknown = f"not known; give {', '.join(STYLES)}, or a JSON file"
        raise DataError(f"style {path}: {'not found; check the path' if path.suffix else unknown}", option="style")
    try:
        values = json.loads(read_text_file(path))
        if "layers" in values and "sources" in values:
            raise ValueError("a style for MapLibre")
        paints = tuple(_paint(str(kind), entry) for kind, entry in values["classes"].items())
        return Style(str(values.get("name") or path.stem), _parse_colour(values["background"]), paints)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"{error} is missing" if isinstance(error, KeyError) else error
        raise DataError(
            f'style {path}: not a style ({fault}); give e.g. {{"background": "#ffffff", "classes": '
            '{"road": "#808080"}}',
            option="style",
        ) from error


def palette_style(entries: Iterable[tuple[str, Rgb]]) -> Style:
    """The style "maps" in the colours of a legend: the last colour of a class."""
    colours = dict(entries)
    others = [kind for kind in colours if kind not in ("land", *_AREAS, *_LEAST_WIDTHS)]
    order = [kind for kind in (*others, *_AREAS, *_LEAST_WIDTHS) if kind in colours]
    background = colours.get("land", (255, 255, 255))
    return Style("maps", background, tuple(Paint(kind, colours[kind]) for kind in order))


def _paint(kind: str, entry: Any) -> Paint:
    if isinstance(entry, str):
        return Paint(kind, _parse_colour(entry))
    casing = entry.get("casing")
    return Paint(kind, _parse_colour(entry["colour"]), None if casing is None else _parse_colour(casing))


def _parse_colour(text: Any) -> Rgb:
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise ValueError(f"{text!r} is not a colour like #24282f")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def _rgb(levels: Iterable[int]) -> Rgb:
    red, green, blue = (int(level) for level in levels)
    return red, green, blue


_DARK = Style(
    "dark",
    (36, 40, 47),
    (
        Paint("park", (38, 56, 46)),
        Paint("water", (23, 38, 60)),
        Paint("building", (50, 55, 64)),
        Paint("road", (92, 98, 110), (28, 31, 37)),
        Paint("highway", (166, 132, 72), (28, 31, 37)),
    ),
)
_PRINT = Style(
    "print",
    (255, 255, 255),
    (
        Paint("park", (222, 236, 208)),
        Paint("water", (190, 218, 240)),
        Paint("building", (206, 200, 192)),
        Paint("road", (255, 255, 255), (128, 124, 118)),
        Paint("highway", (250, 190, 96), (140, 92, 30)),
    ),
)
STYLES = {style.name: style for style in (palette_style(MAPS_PALETTE.entries), _DARK, _PRINT)}
"""By name."""


def find_style(name: str) -> Style:
    """A style by name.

    Raises:
        DataError: there is none.
    """
    if name not in STYLES:
        raise DataError(f"style {name}: not known; give one of {', '.join(STYLES)}", option="style")
    return STYLES[name]
