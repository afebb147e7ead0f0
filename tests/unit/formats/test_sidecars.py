"""The files beside a tile set: pure, and safe whatever a scene is called."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo2map.colour.palette import MAPS_PALETTE, load_palette
from geo2map.errors import TileSetError
from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.page import OnDemand, viewer_page
from geo2map.formats.documents.qgis import class_style, layer_definition
from geo2map.formats.documents.sidecars import SIDECAR_NAMES, legend_table, sidecars, stored_sidecars
from geo2map.formats.documents.text import file_stem
from geo2map.grid import PixelWindow
from geo2map.tiles.tilejson import TileSet

WINDOW = PixelWindow(13055 * 256 + 37, 8467 * 256 + 21, 13060 * 256, 8470 * 256 - 3)
TILESET = TileSet("jakarta", "png", 12, 14, WINDOW, {"model": "town 1"})
LEGEND = MAPS_PALETTE.entries
FACTS = {"scenes": ["a.tif"], "model": {"name": "sat2map", "sha256": "00ff"}}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    '"><img src=x onerror=alert(1)>',
    'a & b\'s "map"; ]]> &amp; ${z} $title',
    "../../etc/passwd",
    "..",
    "con.tif",
    "\x00\x1b[31m\ud800\ufffe",
    "Zürich Ωμέγα 東京 \N{RIGHT-TO-LEFT OVERRIDE}\u2028",
    "",
)
_ADDRESSES = ("src", "href", "action", "srcset", "data")
names = st.text(max_size=40) | st.sampled_from(HOSTILE)


def named(name: str) -> TileSet:
    return replace(TILESET, name=name)


class Page(HTMLParser):
    """Collects what a browser would: tags with attributes, and the text of elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open if tag != self._open else ""


def test_all_files_are_there() -> None:
    made = sidecars(TILESET, LEGEND, FACTS, address="https://example.org/t/")
    assert set(made) == {"jakarta.qlr", *SIDECAR_NAMES}
    assert set(sidecars(TILESET, (), FACTS)) == {"jakarta.qlr", "index.html", "provenance.json"}


def test_the_same_map_gives_the_same_bytes_and_only_tiles_xml_has_an_address() -> None:
    made = sidecars(TILESET, LEGEND, FACTS, address="https://example.org/t")
    assert made == sidecars(TILESET, LEGEND, FACTS, address="https://example.org/t")
    assert [name for name, data in made.items() if b"example.org" in data] == ["tiles.xml"]
    assert not any(re.search(rb"\b20[2-9]\d-\d\d-\d\d|file:///", data) for data in made.values())


@given(names)
@example(HOSTILE[0])
@example(HOSTILE[3])
@example(HOSTILE[7])
def test_any_name_in_json(name: str) -> None:
    made = sidecars(named(name), LEGEND, {"scenes": [name]})
    document = json.loads(made["provenance.json"])
    assert (document["name"], document["scenes"]) == (name, [name])
    assert "generative model" in document["statement"]


@settings(max_examples=40)  # a page is as long as Leaflet
@given(names, names)
@example(HOSTILE[0], HOSTILE[1])
@example(HOSTILE[7], HOSTILE[3])
def test_any_name_in_html(name: str, label: str) -> None:
    """The page has the same tags whatever the name, and the name comes out again as text."""
    plain = Page(viewer_page(TILESET, [("x", (1, 2, 3))]).decode())
    page = Page(viewer_page(named(name), [(label, (1, 2, 3))]).decode())
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.texts["title"] == [plain_text(name)]
    facts = next(text for text in page.texts["script"] if text.startswith("{"))
    assert json.loads(facts)["legend"] == [[plain_text(label), [1, 2, 3]]]
    attributes = {key for _, attributes in page.tags for key in attributes}
    assert not any(key.startswith("on") for key in attributes)


@given(names, names)
@example(HOSTILE[3], HOSTILE[7])
@example(HOSTILE[0], HOSTILE[8])
def test_any_name_in_xml(name: str, label: str) -> None:
    root = ElementTree.fromstring(layer_definition(named(name), [(label, (1, 2, 3))]))

    def as_parsed(text: str) -> str:  # XML readers take every end of line for one
        return plain_text(text).replace("\r\n", "\n").replace("\r", "\n")

    titles = [as_parsed(node.text or "") for node in root.iter("layername")]
    assert titles == [as_parsed(f"{name}: outline and legend"), as_parsed(name)]
    assert [node.get("label") for node in root.iter("category")] == ["footprint", plain_text(label)]
    style = ElementTree.fromstring(class_style([(label, (1, 2, 3))]))
    assert [node.get("label") for node in style.iter("paletteEntry")] == [plain_text(label)]


@given(names)
@example(HOSTILE[4])
@example(HOSTILE[5])
@example(HOSTILE[6])
@example("x" * 300 + "ü")
@example("ü" * 300)
def test_any_name_in_a_file_name(name: str) -> None:
    stem = file_stem(name)
    assert stem == Path(stem).name == PureWindowsPath(stem).name
    assert not PureWindowsPath(f"{stem}.qlr").is_reserved()
    assert 1 <= len(stem.encode()) <= 81
    assert stem[0] not in ". "
    assert stem[-1] not in ". "
    assert not set(stem) & set('<>:"/\\|?*%#{}$\0\n\r\t \x7f')
    assert file_stem(stem) == stem
    made = sidecars(named(name), (), {})
    assert next(iter(made)) == f"{stem}.qlr"


@given(names)
@example("a/${z}/{x} ü&%20")
def test_any_address_in_tiles_xml(part: str) -> None:
    data = sidecars(TILESET, (), {}, address=f"https://example.org/{part}/")["tiles.xml"]
    url = ElementTree.fromstring(data).findtext("Service/ServerUrl") or ""
    assert url.startswith("https://example.org/")
    assert url.endswith("/${z}/${x}/${y}.png")
    assert url.count("$") == 3
    assert url.isascii()


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_in_a_class_set_and_its_conversion(name: str, tmp_path: Path) -> None:
    """Names of scenes and classes, in everything that lies beside a folder."""
    extra = {"model": name or "m", "scenes": [name], "classes": [[name, [1, 2, 3]], ["b", [4, 5, 6]]]}
    tileset = replace(TILESET, name=name, extra=extra, scheme="tms")
    made = stored_sidecars(tileset, tmp_path)
    stem = file_stem(name)
    assert set(made) == {f"{stem}.qlr", f"{stem}.qml", "index.html", "legend.tsv", "provenance.json"}
    assert all(Path(file).name == file == PureWindowsPath(file).name for file in made)
    style = ElementTree.fromstring(made[f"{stem}.qml"])
    assert [node.get("label") for node in style.iter("paletteEntry")] == [plain_text(name), "b"]
    document = json.loads(made["provenance.json"])
    assert (document["scenes"], document["model"]) == ([name], name or "m")
    (tmp_path / "provenance.json").write_bytes(made["provenance.json"])
    again = stored_sidecars(replace(tileset, maxzoom=13), tmp_path)
    assert json.loads(again["provenance.json"])["tiles"]["maxzoom"] == 13
    (tmp_path / "provenance.json").write_text("no JSON")
    assert stored_sidecars(tileset, tmp_path) == made
    assert stored_sidecars(replace(tileset, extra={}), tmp_path) == {}


def test_what_no_model_drew_says_so() -> None:
    made = sidecars(replace(TILESET, extra={"model": ""}), (), {})
    assert b"generative" not in made["index.html"] + made["provenance.json"]
    assert json.loads(made["provenance.json"])["tiles"]["attribution"] == "Source imagery"


def test_facts_that_json_cannot_spell_are_refused() -> None:
    with pytest.raises(TileSetError, match="use plain values"):
        sidecars(TILESET, LEGEND, {"loss": float("nan")})
    with pytest.raises(TileSetError, match="use plain values"):
        sidecars(TILESET, LEGEND, {"path": Path("x")})


def test_the_legend_is_the_palette(tmp_path: Path) -> None:
    (tmp_path / "legend.tsv").write_bytes(legend_table(LEGEND))
    assert load_palette(tmp_path / "legend.tsv") == MAPS_PALETTE


def test_the_page_knows_which_tiles_there_are() -> None:
    source = TileSet("jakarta", "jpeg", 13, 15, PixelWindow(*(2 * edge for edge in WINDOW)))
    page = Page(viewer_page(TILESET, LEGEND, {"source": source}).decode())
    facts = json.loads(next(text for text in page.texts["script"] if text.startswith("{")))
    below, above = facts["layers"]
    assert (below["tiles"], above["tiles"]) == ("./source/{z}/{x}/{y}.jpg", "./{z}/{x}/{y}.png")
    assert (below["minzoom"], below["maxzoom"], above["minzoom"], above["maxzoom"]) == (13, 15, 12, 14)
    assert (below["reach"], above["reach"]) == ([26110, 16934, 26120, 16940], [13055, 8467, 13060, 8470])
    assert facts["bounds"] == pytest.approx(TILESET.to_dict()["bounds"], abs=1e-8)


def test_a_map_across_the_antimeridian_is_one_piece() -> None:
    world = 256 * 2**14
    tileset = replace(TILESET, window=PixelWindow(world - 300, 9000 * 256, world + 300, 9001 * 256))
    page = viewer_page(tileset, LEGEND).decode()
    west, _, east, _ = json.loads(Page(page).texts["script"][0])["bounds"]
    assert west < 180 < east
    (ring,) = json.loads(
        ElementTree.fromstring(layer_definition(tileset, ())).findtext("maplayers/maplayer/datasource") or ""
    )["features"][0]["geometry"]["coordinates"]
    assert {round(x) for x, _ in ring} == {180}
    assert max(x for x, _ in ring) > 180
    data = sidecars(tileset, (), {}, address="https://example.org")["tiles.xml"]
    assert float(ElementTree.fromstring(data).findtext("DataWindow/LowerRightX") or 0) == pytest.approx(20037508.34)


def test_the_page_carries_leaflets_licence_and_no_address_of_others() -> None:
    page = viewer_page(TILESET, LEGEND).decode()
    assert "BSD 2-Clause License" in page
    assert "sourceMappingURL" not in page
    addresses = [value for _, attributes in Page(page).tags for key, value in attributes.items() if key in _ADDRESSES]
    assert addresses == ["data:,"]
    assert html.escape(TILESET.name) in page


def test_only_a_live_map_counts_blocks() -> None:
    live, stored = (
        json.loads(next(text for text in Page(page.decode()).texts["script"] if text.startswith("{")))
        for page in (viewer_page(TILESET, LEGEND, on_demand=OnDemand(11, 4)), viewer_page(TILESET, LEGEND))
    )
    assert live == stored | {"live": {"least": 11, "span": 4}}
    assert "live" not in stored
