"""Styles: in which colours and widths, and in which order, features are drawn. Plain values that other kinds of
styles (MapLibre, QGIS) are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError

Rgb = tuple[int, int, int]
Shape = Literal["area", "line", "casing"]


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
class Style:
    """A way to draw features.

    Attributes:
        name: of the style.
        background: colour of what is nothing else.
        rules: the first is drawn first, and lies below.
    """

    name: str
    background: Rgb
    rules: tuple[Rule, ...]

    def colour_of(self, kind: str) -> Rgb:
        """The colour that a class is filled with, for a legend.

        Raises:
            DataError: the style does not draw it.
        """
        for rule in self.rules:
            if rule.kind == kind and rule.shape != "casing":
                return rule.colour
        raise DataError(f"style {self.name} has no class {kind}: it draws {', '.join(self.kinds)}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Classes that are drawn."""
        return tuple(dict.fromkeys(rule.kind for rule in self.rules))


def _roads(road: Rgb, highway: Rgb, casing: Rgb | None = None, edge: Rgb | None = None) -> tuple[Rule, ...]:
    """Roads below highways, each with its casing below it if there is one."""
    rules: list[Rule] = []
    for kind, fill, line, least in (("road", road, casing, 1.0), ("highway", highway, edge, 1.6)):
        if line is not None:
            rules += [Rule(kind, "casing", line, least + 1.4, 0.8, 14)]
        rules += [Rule(kind, "area", fill), Rule(kind, "line", fill, least)]
    return tuple(rules)


def _style(name: str, colours: Mapping[str, Rgb], casing: Rgb | None = None, edge: Rgb | None = None) -> Style:
    """A style that draws areas below roads, in the colours of its classes, with casings of roads and of highways."""
    areas = (Rule(kind, "area", colours[kind]) for kind in ("park", "water", "building"))
    return Style(name, colours["land"], (*areas, *_roads(colours["road"], colours["highway"], casing, edge)))


_DARK = {
    "land": (36, 40, 47),
    "park": (38, 56, 46),
    "water": (23, 38, 60),
    "building": (50, 55, 64),
    "road": (92, 98, 110),
    "highway": (166, 132, 72),
}
_PRINT = {
    "land": (255, 255, 255),
    "park": (222, 236, 208),
    "water": (190, 218, 240),
    "building": (206, 200, 192),
    "road": (255, 255, 255),
    "highway": (250, 190, 96),
}
_STYLES = (
    _style("maps", dict(MAPS_PALETTE.entries)),
    _style("dark", _DARK, (28, 31, 37), (28, 31, 37)),
    _style("print", _PRINT, (128, 124, 118), (140, 92, 30)),
)
STYLES = {style.name: style for style in _STYLES}


def find_style(name: str) -> Style:
    """A style by name.

    Raises:
        DataError: there is none.
    """
    if name not in STYLES:
        raise DataError(f"style {name} is not known: give one of {', '.join(STYLES)}")
    return STYLES[name]
