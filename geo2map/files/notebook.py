"""What a notebook shows of a value: a small picture beside a table, as a piece of HTML that needs nothing else."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from PIL import Image as Pillow

from geo2map.files.plain_text import plain_text
from geo2map.types import Image

PICTURE_SIDE = 240
"""Pixels of the longer side of a picture."""
MOST_BYTES = 27_000
"""Of a picture as PNG; in base64 it is a third larger, and with the longest of texts still below 60 KB."""
_SIDES = (PICTURE_SIDE, 200, 160)
"""Sides to shrink a picture to, one after the other: the last one fits whatever it shows, at a byte a pixel."""
_COLOURS = 128
_LONGEST = 300
"""Characters of a text that are shown."""
_MOST_REMARKS = 5


def notebook_html(
    title: str, entries: Iterable[tuple[str, str]], *, picture: str = "", remarks: Sequence[str] = ()
) -> str:
    """A title, a table and sentences beside a picture.

    Args:
        title, entries, remarks: plain text; it is escaped, and cut where it is very long.
        picture: from `svg_picture` or `png_picture`; "" for none.

    Returns:
        One HTML element without scripts, ids or addresses; in the notebook's own colours.
    """
    rows = "".join(
        f'<tr><th style="text-align:left">{_escaped(key)}</th><td style="text-align:left">{_escaped(value)}</td></tr>'
        for key, value in entries
        if value
    )
    more = len(remarks) - _MOST_REMARKS
    said = [*remarks[:_MOST_REMARKS], *([f"and {more} more"] if more > 0 else [])]
    sentences = "".join(f'<p style="margin:4px 0">{_escaped(remark)}</p>' for remark in said)
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">'
        f"{picture}<div><strong>{_escaped(title)}</strong><table>{rows}</table>{sentences}</div></div>"
    )


def svg_picture(body: str, width: float, height: float, words: str) -> str:
    """A drawing as an SVG element.

    Args:
        body: SVG elements, in pixels.
        words: what it shows, as plain text.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" style="flex:none"><title>{_escaped(words)}</title>{body}</svg>'
    )


def png_picture(picture: Image, words: str) -> str:
    """A picture as an HTML element, made smaller until it takes at most `MOST_BYTES`.

    Args:
        picture: uint8 (H, W, 3).
        words: what it shows, as plain text.
    """
    for side in _SIDES:
        data = _png(picture, side)
        if len(data) <= MOST_BYTES:
            break
    return f'<img alt="{_escaped(words)}" src="data:image/png;base64,{b64encode(data).decode()}" style="flex:none">'


def _png(picture: Image, side: int) -> bytes:
    """The picture as indexed PNG, both sides at most `side` long."""
    image = Pillow.fromarray(picture)
    share = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * share)) for length in image.size)
    file = io.BytesIO()
    small = image.resize((width, height), Pillow.Resampling.BOX)
    small.quantize(_COLOURS, dither=Pillow.Dither.NONE).save(file, format="PNG")
    return file.getvalue()


def _escaped(text: str) -> str:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return escape(plain_text(shown))
