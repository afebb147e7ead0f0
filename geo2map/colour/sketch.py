"""A small drawing in the colours of a palette: what maps of a model look like, without one."""

from __future__ import annotations

from geo2map.colour.palette import Palette
from geo2map.files.notebook import svg_picture

_WIDTH, _HEIGHT = 160, 120
_SHAPES = {
    "land": f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{{}}"/>',
    "park": '<path d="M8 8H66V52H8Z" fill="{}"/>',
    "water": '<path d="M160 66C132 70 128 96 98 104S60 120 60 120H160Z" fill="{}"/>',
    "building": '<path d="M84 12h14v12h-14zM104 12h18v16h-18zM84 30h14v14h-14zM12 72h20v14h-20zM38 72h14v18h-14z" '
    'fill="{}"/>',
    "road": '<path d="M0 60H128M74 0V104M28 60V120M128 0V60" fill="none" stroke="{}" stroke-width="6"/>',
    "highway": '<path d="M0 110C60 92 100 60 160 22" fill="none" stroke="{}" stroke-width="9"/>',
}
"""Of each class, in the order in which they are drawn."""
_SWATCH = 18


def sketch_svg(palette: Palette, words: str) -> str:
    """An imagined piece of a map with the palette's classes, and a swatch for each of its colours below it.

    Args:
        words: what it is, as plain text.

    Returns:
        An SVG element; classes without a shape of their own have swatches alone.
    """
    hexes = [(name, "#{:02x}{:02x}{:02x}".format(*colour)) for name, colour in palette.entries]
    last = dict(hexes)
    drawn = [shape.format(last[name]) for name, shape in _SHAPES.items() if name in last]
    columns = _WIDTH // _SWATCH
    swatches = [
        f'<rect x="{number % columns * _SWATCH}" y="{_HEIGHT + 4 + number // columns * _SWATCH}" width="{_SWATCH - 3}" '
        f'height="{_SWATCH - 3}" fill="{colour}" stroke="#777"/>'
        for number, (_, colour) in enumerate(hexes)
    ]
    rows = -(-len(hexes) // columns)
    return svg_picture("".join([*drawn, *swatches]), _WIDTH, _HEIGHT + 4 + rows * _SWATCH, words)
