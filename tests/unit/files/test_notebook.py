"""What notebooks show: small, whole HTML that asks nobody, whatever a thing is called."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo2map.files.notebook import MOST_BYTES, PICTURE_SIDE, notebook_html, png_picture, svg_picture
from geo2map.files.plain_text import plain_text

HOSTILE = (
    "</td></table><script>alert(1)</script>",
    "\"><img src='https://x.example/a.png' onerror=alert(1)>",
    "<!-- <style>",
    "a & b's &amp; \x00\ud800",
    "",
)
_ALONE = {"img", "rect", "path"}
texts = st.text(max_size=50) | st.sampled_from(HOSTILE)


class Shown(HTMLParser):
    """The tags of a piece of HTML, each of which must be closed in its turn, their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _ALONE:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _ALONE:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def require_harmless(html: str) -> Shown:
    """One element, nothing that runs, and nothing from elsewhere."""
    shown = Shown(html)
    assert not {"script", "style", "link", "iframe", "object"} & set(shown.tags)
    assert not [name for name, _ in shown.attributes if name.startswith("on") or name in ("href", "id")]
    assert all(value.startswith("data:image/png;base64,") for name, value in shown.attributes if name == "src")
    assert "url(" not in html
    return shown


@given(texts, texts, texts)
@example(*HOSTILE[:3])
@example(*HOSTILE[2:5])
@settings(max_examples=50)
def test_any_text(title: str, value: str, remark: str) -> None:
    picture = svg_picture("", 9, 9, title)
    plain = Shown(notebook_html("x", [("key", "x")], picture=svg_picture("", 9, 9, "x"), remarks=["x"]))
    shown = require_harmless(notebook_html(title, [("key", value or "x")], picture=picture, remarks=[remark]))
    assert shown.tags == plain.tags
    told = "".join(shown.texts)
    assert all(plain_text(text) in told for text in (title, value, remark))


def test_what_is_empty_has_no_row_and_long_texts_end() -> None:
    html = notebook_html("t", [("one", ""), ("two", "&" * 10_000)], remarks=['"' * 10_000] * 100)
    assert "one" not in html
    assert "and 95 more" in html
    assert len(html.encode()) < 60_000 - 4 * MOST_BYTES / 3


@pytest.mark.parametrize("shape", [(3000, 3000), (2000, 40), (7, 5), (1, 4000)])
@pytest.mark.parametrize("kind", ["noise", "plain"])
def test_a_picture_is_small_and_true_to_shape(shape: tuple[int, int], kind: str) -> None:
    pixels = np.full((*shape, 3), (177, 208, 254), np.uint8)
    if kind == "noise":
        pixels = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    html = png_picture(pixels, "a <map>")
    assert html == png_picture(pixels.copy(), "a <map>")
    require_harmless(html)
    data = b64decode(re.findall(r"base64,([^\"]*)", html)[0])
    assert len(data) <= MOST_BYTES
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert max(image.size) <= min(PICTURE_SIDE, max(shape))
        assert image.width / image.height == pytest.approx(shape[1] / shape[0], rel=0.02) or min(image.size) < 50
        if kind == "plain":
            assert image.convert("RGB").getcolors() == [(image.width * image.height, (177, 208, 254))]
