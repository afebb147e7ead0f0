"""Draws docs/concepts.svg, the picture of how a scene becomes a map:

python examples/lab/picture_concepts.py docs/concepts.svg
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


def draw() -> ET.Element:
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
    add(svg, "title", "How a scene becomes a map")
    marker = add(add(svg, "defs"), "marker", id="tip", markerWidth=8, markerHeight=8, refX=7, refY=3, orient="auto")
    add(marker, "path", d="M0,0 L7,3 L0,6 z", fill=LINE)
    add(svg, "rect", width=WIDTH, height=HEIGHT, fill=PAPER)
    words = {"font_family": "sans-serif", "font_size": 12, "fill": INK}
    add(svg, "text", "once, before the work: values", x=20, y=26, **words)
    add(svg, "text", "for each block", x=20, y=282, **words)
    add(svg, "text", "at the end", x=740, y=282, **words)
    for first, second in ARROWS:
        x1, y1, x2, y2 = ends(first, second)
        add(svg, "line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=LINE, stroke_width=1.5, marker_end="url(#tip)")
    for left, top, fill, (name, words_below) in BOXES.values():
        add(svg, "rect", x=left, y=top, width=WIDE, height=HIGH, rx=6, fill=fill, stroke=LINE)
        middle = {"x": left + WIDE / 2, "text_anchor": "middle", "font_family": "sans-serif", "fill": INK}
        add(svg, "text", name, y=top + 21, font_size=15, font_weight="bold", **middle)
        add(svg, "text", words_below, y=top + 39, font_size=11, **middle)
    return svg


def main() -> None:
    svg = draw()
    ET.indent(svg)
    Path(sys.argv[1]).write_text(ET.tostring(svg, encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
