"""Draws the diagrams of docs/concepts.md: how a scene becomes a map, and what lies where on the grid.

python examples/lab/picture_concepts.py docs/concepts.svg docs/grid.svg
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

WIDTH, HEIGHT = 920, 300
INK, PAPER, LINE = "#263238", "#ffffff", "#78909c"
VALUE, STEP, THING = "#e3f2fd", "#fff3e0", "#e8f5e9"
BOXES = {  # name: left, top, fill, lines
    "scenes": (20, 40, THING, ("scenes", "rasters, any CRS")),
    "plan": (200, 40, VALUE, ("plan", "what decides pixels")),
    "job": (380, 40, VALUE, ("job", "what decides bytes")),
    "ledger": (560, 40, THING, ("ledger", "job, blocks, digests")),
    "card": (200, 120, THING, ("card", "of the model")),
    "read": (20, 210, STEP, ("read", "block + margin")),
    "translate": (200, 210, STEP, ("translate", "fill, model, crop")),
    "encode": (380, 210, STEP, ("encode", "tiles + overviews")),
    "record": (560, 210, STEP, ("record", "block by block")),
    "publish": (740, 210, STEP, ("publish", "folder, .tif, .pmtiles")),
}
ARROWS = (
    ("scenes", "plan"),
    ("plan", "job"),
    ("card", "plan"),
    ("scenes", "read"),
    ("card", "translate"),
    ("read", "translate"),
    ("translate", "encode"),
    ("job", "encode"),
    ("encode", "record"),
    ("record", "publish"),
    ("record", "ledger"),
    ("job", "ledger"),
)
WIDE, HIGH = 150, 50
WORDS = {"font_family": "sans-serif", "font_size": 12, "fill": INK}
LEFT, TOP, TILE, COLUMNS, ROWS = 30, 40, 30, 12, 8
SPAN, SHARD = 4, 8
"""Tiles along a side of a block and of a shard (64 in earnest, to be seen at a glance 8)."""
MARGIN = 18
BLOCK = "#1e88e5"
STACK = {"map": "#fff3e0", "source": "#e8f5e9", "confidence": "#e3f2fd"}
RECORDS = ("job", "block: digest, 21 tiles", "map 17/4324/2647: digest", "source 17/4324/2647 ...", "...")


def add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> ET.Element:
    element = ET.SubElement(parent, tag, {name.replace("_", "-"): str(value) for name, value in attributes.items()})
    element.text = text or None
    return element


def ends(first: str, second: str) -> tuple[float, float, float, float]:
    """From the border of one box to that of the other: sideways in a row, else up or down."""
    (left, top, *_), (other_left, other_top, *_) = BOXES[first], BOXES[second]
    if abs(top - other_top) < HIGH:
        return left + WIDE, top + HIGH / 2, other_left, other_top + HIGH / 2
    down = other_top > top
    start, end = (top + HIGH, other_top) if down else (top, other_top + HIGH)
    return left + WIDE / 2, start, other_left + WIDE / 2, end


def canvas(title: str, height: int) -> ET.Element:
    """An empty picture, with a tip for arrows."""
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", role="img")
    add(svg, "title", title)
    marker = add(add(svg, "defs"), "marker", id="tip", markerWidth=8, markerHeight=8, refX=7, refY=3, orient="auto")
    add(marker, "path", d="M0,0 L7,3 L0,6 z", fill=LINE)
    add(svg, "rect", width=WIDTH, height=height, fill=PAPER)
    return svg


def arrow(svg: ET.Element, x1: float, y1: float, x2: float, y2: float) -> None:
    add(svg, "line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=LINE, stroke_width=1.5, marker_end="url(#tip)")


def draw_steps() -> ET.Element:
    """From scenes to an output, step by step."""
    svg = canvas("How a scene becomes a map", HEIGHT)
    add(svg, "text", "once, before the work: values", x=20, y=26, **WORDS)
    add(svg, "text", "for each block", x=20, y=282, **WORDS)
    add(svg, "text", "at the end", x=740, y=282, **WORDS)
    for first, second in ARROWS:
        arrow(svg, *ends(first, second))
    for left, top, fill, (name, words_below) in BOXES.values():
        add(svg, "rect", x=left, y=top, width=WIDE, height=HIGH, rx=6, fill=fill, stroke=LINE)
        middle = {"x": left + WIDE / 2, "text_anchor": "middle", "font_family": "sans-serif", "fill": INK}
        add(svg, "text", name, y=top + 21, font_size=15, font_weight="bold", **middle)
        add(svg, "text", words_below, y=top + 39, font_size=11, **middle)
    return svg


def draw_grid() -> ET.Element:
    """Tiles, blocks and shards under a scene; the layers of a block; the ledger."""
    svg = canvas("Scene, tiles, blocks and shards; layers; ledger", 320)
    for columns, stroke in ((1, 0.4), (SPAN, 1.2), (SHARD, 3.0)):
        for column in range(0, COLUMNS + 1, columns):
            x = LEFT + column * TILE
            add(svg, "line", x1=x, y1=TOP, x2=x, y2=TOP + ROWS * TILE, stroke=LINE, stroke_width=stroke)
        for row in range(0, ROWS + 1, columns):
            y = TOP + row * TILE
            add(svg, "line", x1=LEFT, y1=y, x2=LEFT + COLUMNS * TILE, y2=y, stroke=LINE, stroke_width=stroke)
    corners = ((1.2, 1.6), (10.6, 0.5), (11.5, 6.6), (2.1, 7.5))
    points = " ".join(f"{LEFT + x * TILE:.0f},{TOP + y * TILE:.0f}" for x, y in corners)
    add(svg, "polygon", points=points, fill="#66bb6a", fill_opacity=0.25, stroke="#2e7d32", stroke_width=1.5)
    x, y, side = LEFT + SPAN * TILE, TOP, SPAN * TILE
    dashed = {"fill": "none", "stroke": BLOCK, "stroke_width": 1.5, "stroke_dasharray": "4 3"}
    add(svg, "rect", x=x - MARGIN, y=y - MARGIN, width=side + 2 * MARGIN, height=side + 2 * MARGIN, **dashed)
    add(svg, "rect", x=x, y=y, width=side, height=side, fill=BLOCK, fill_opacity=0.25, stroke=BLOCK, stroke_width=3)
    notes = {
        "scene": (LEFT + 2.2 * TILE, TOP + 5.65 * TILE, "#2e7d32"),
        "block": (x + 8, y + side / 2 - 8, "#0d47a1"),
        "margin": (x + side + MARGIN + 6, y - 6, "#0d47a1"),
        "tile": (LEFT + 10.1 * TILE, TOP + 4.7 * TILE, INK),
        "one shard": (LEFT, TOP + ROWS * TILE + 20, INK),
        "the next": (LEFT + SHARD * TILE + 6, TOP + ROWS * TILE + 20, INK),
    }
    for text, (left, top, fill) in notes.items():
        add(svg, "text", text, x=left, y=top, **WORDS | {"fill": fill, "font_size": 13})
    arrow(svg, x + side + MARGIN, y + side / 2, 500, y + side / 2)
    for number, (name, fill) in enumerate(STACK.items()):
        left, top = 510 + 18 * number, 60 + 55 * number
        points = f"{left},{top + 40} {left + 30},{top} {left + 150},{top} {left + 120},{top + 40}"
        add(svg, "polygon", points=points, fill=fill, stroke=LINE)
        add(svg, "text", name, x=left + 40, y=top + 25, **WORDS | {"font_size": 13})
    add(svg, "text", "layers: tiles of the same places", x=510, y=250, **WORDS | {"font_size": 13})
    arrow(svg, 690, 100, 722, 100)
    add(svg, "rect", x=728, y=50, width=184, height=24 * len(RECORDS) + 12, rx=6, fill=THING, stroke=LINE)
    for number, text in enumerate(RECORDS):
        add(svg, "text", text, x=738, y=70 + 24 * number, **WORDS)
    add(svg, "text", "ledger: what is finished", x=728, y=250, **WORDS | {"font_size": 13})
    return svg


def main() -> None:
    for path, draw in zip(sys.argv[1:], (draw_steps, draw_grid), strict=True):
        svg = draw()
        ET.indent(svg)
        Path(path).write_text(ET.tostring(svg, encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
