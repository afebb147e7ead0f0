"""In which styles a map's features are shown, and what each style draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from geo2map.features import STYLES, FeatureLayer, Rgb, Rule, Style
from geo2map.tiles.tilejson import TileSet

LegendEntries = Sequence[tuple[str, Rgb]]
"""(class name, (red, green, blue)), levels 0 to 255; a class may have several colours."""


def styles_of(tileset: TileSet) -> list[Style]:
    """The styles of a map, each name once, the map's own in front."""
    own = tileset.palette_style
    first = own if (given := tileset.extra.get("style")) is None else Style.of(given)
    found: dict[str, Style] = {}
    for style in (first, own, *STYLES.values()):
        found.setdefault(style.name, style)
    return list(found.values())


def style_legend(style: Style, tileset: TileSet) -> LegendEntries:
    """Classes and colours that a style draws of a map, land first; what the map has no class of is left out."""
    known = {kind for layer in tileset.feature_layers.values() for kind in layer.classes}
    drawn = [kind for kind in style.kinds if kind in known or not known]
    return [("land", style.background), *((kind, style.colour_of(kind)) for kind in drawn)]


def drawn_rules(style: Style, layers: Mapping[str, FeatureLayer]) -> Iterator[tuple[str, FeatureLayer, Rule]]:
    """What a style draws of some layers, the lowest first: a key, the layer, and how its features are drawn."""
    for number, rule in enumerate(style.rules):
        for name, layer in layers.items():
            if layer.is_line == (rule.shape != "area") and rule.kind in layer.classes:
                yield f"{name}-{rule.kind}-{number}", layer, rule
