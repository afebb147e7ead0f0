"""Documents beside vector tiles: styles, the page, the QGIS layer; any name in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from small_town import FEATURES, TILESET, WINDOW, ZOOM, area, write_town

from geo2map.api.converting import convert
from geo2map.api.drawing import draw
from geo2map.features import STYLES, find_style
from geo2map.features.style import Paint, Style
from geo2map.formats.documents.maplibre import page_styles, style_documents
from geo2map.formats.documents.page import viewer_page
from geo2map.formats.documents.qgis import layer_definition
from geo2map.formats.documents.sidecars import legend_of, sidecars
from geo2map.grid import PixelWindow, ground_resolution, window_latitude
from geo2map.tiles.inventory import first_unexpected
from geo2map.tiles.tilejson import TileSet

OWN = Style("mine </script>", (1, 2, 3), (Paint("building", (50, 55, 64)), Paint("meadow", (9, 9, 9))))
FOREIGN = TileSet(
    "theirs",
    "mvt",
    3,
    5,
    PixelWindow(0, 0, 512, 512),
    words={"attribution": '<a href="https://q.example">us</a> <script>alert(1)</script>'},
    others_layers=({"id": "sea"}, {"id": "sea & <land>"}),
)


def facts_of(page: bytes) -> dict[str, Any]:
    text = page.decode().partition('id="facts">')[2].partition("</script>")[0]
    facts: dict[str, Any] = json.loads(text)
    return facts


def test_the_styles_of_a_map() -> None:
    documents = style_documents(TILESET)
    assert [*documents] == ["style.maps.json", "style.dark.json", "style.print.json"]
    for name, document in zip(("maps", "dark", "print"), documents.values(), strict=True):
        style, source = find_style(name), document["sources"]["map"]
        assert (document["version"], document["name"], [*document["sources"]]) == (8, name, ["map"])
        assert source["tiles"] == ["./{z}/{x}/{y}.pbf"]
        assert (source["minzoom"], source["maxzoom"], source["scheme"]) == (14, 17, "xyz")
        background, *layers = document["layers"]
        assert background["paint"]["background-color"] == "#{:02x}{:02x}{:02x}".format(*style.background)
        assert len({layer["id"] for layer in layers}) == len(layers)
        for layer in layers:
            kinds = TILESET.feature_layers[layer["source-layer"]]
            assert layer["filter"][2] in kinds.classes
            assert layer["type"] == ("line" if kinds.is_line else "fill")


def test_the_least_zoom_of_a_layer_is_that_of_a_drawing() -> None:
    """Where MapLibre first shows casings, pixels are as large as in the first drawing that has them."""
    latitude = window_latitude(WINDOW, ZOOM)
    least = {rule.least_zoom for rule in find_style("dark").rules if rule.shape == "casing"}
    layers = style_documents(TILESET)["style.dark.json"]["layers"]
    shown = {layer["minzoom"] for layer in layers if "minzoom" in layer}
    assert len(least) == len(shown) == 1
    # MapLibre's zoom 0 shows the world on 512 px
    on_screen = ground_resolution(0, latitude) * 256 / 512 / 2 ** shown.pop()
    assert on_screen == pytest.approx(ground_resolution(least.pop(), latitude))


def test_tiles_are_not_asked_for_beyond_the_map() -> None:
    """Not even where it ends with a tile; across the antimeridian a source has no bounds."""
    (west, south, east, north) = style_documents(TILESET)["style.maps.json"]["sources"]["map"]["bounds"]
    whole = TILESET.to_dict()["bounds"]
    assert whole[0] < west < east < whole[2]
    assert whole[1] < south < north < whole[3]
    world = 256 << 17
    across = replace(TILESET, window=PixelWindow(world - 300, 9000 * 256, world + 300, 9001 * 256))
    assert "bounds" not in style_documents(across)["style.maps.json"]["sources"]["map"]


def test_the_style_that_features_were_given_comes_first() -> None:
    tileset = replace(TILESET, extra={**TILESET.extra, "style": OWN.to_dict()})
    assert [*page_styles(tileset)] == [OWN.name, "maps", "dark", "print"]
    assert [entry["name"] for entry in facts_of(viewer_page(tileset, ()))["styles"]] == [OWN.name, *STYLES]
    assert next(iter(style_documents(tileset))) == "style.mine_script.json"
    assert legend_of(tileset) == [("land", (1, 2, 3)), ("building", (50, 55, 64))]  # the map has no meadows
    assert page_styles(tileset)[OWN.name].legend == legend_of(tileset)
    assert [*page_styles(replace(TILESET, extra={**TILESET.extra, "style": find_style("print").to_dict()}))] == [
        "print",
        "maps",
        "dark",
    ]


def test_an_address_makes_styles_absolute() -> None:
    made = sidecars(TILESET, legend_of(TILESET), {}, address="https://maps.example/town/")
    style = json.loads(made["style.dark.json"])
    assert style["sources"]["map"]["tiles"] == ["https://maps.example/town/{z}/{x}/{y}.pbf"]
    assert "tiles.xml" not in made
    assert set(made) == {"index.html", "provenance.json", "legend.tsv", "small_town.qlr"} | {
        f"style.{name}.json" for name in STYLES
    }


def test_rows_from_the_south() -> None:
    tileset = replace(TILESET, scheme="tms")
    assert style_documents(tileset)["style.maps.json"]["sources"]["map"]["scheme"] == "tms"
    absolute = style_documents(tileset, "https://maps.example/{z}/{x}/{y}.pbf")
    assert absolute["style.maps.json"]["sources"]["map"]["scheme"] == "xyz"  # as a server answers
    assert "%7B-y%7D.pbf" in layer_definition(tileset, ()).decode()


def test_other_programs_tiles_have_one_plain_style() -> None:
    (document,) = style_documents(FOREIGN).values()
    assert document["sources"]["map"]["attribution"] == "us alert(1)"
    assert {layer["source-layer"] for layer in document["layers"][1:]} == {"sea", "sea & <land>"}
    assert len({layer["id"] for layer in document["layers"]}) == 7
    facts = facts_of(viewer_page(FOREIGN, ()))
    assert [name for name, _ in facts["styles"][0]["legend"]] == facts["layers"] == ["sea", "sea & <land>"]


@pytest.mark.parametrize("name", ["</script><script>alert(1)", "\"&<>'", "東京 \u202e", "a\ud800b"])
def test_any_name_in_the_page(name: str) -> None:
    style = {**OWN.to_dict(), "name": name}
    page = viewer_page(replace(TILESET, name=name, extra={**TILESET.extra, "style": style}), ()).decode()
    plain = viewer_page(TILESET, ()).decode()
    for mark in ("<script", "</script", "<style", "<title"):
        assert page.count(mark) == plain.count(mark)


def test_the_page_carries_its_library_and_its_licence() -> None:
    page = viewer_page(TILESET, ()).decode()
    assert "MapLibre GL JS, which draws" in page
    assert "MapLibre contributors" in page
    assert "maplibre-gl-js/blob/v5." in page
    assert "leaflet" not in page
    assert "sourceMappingURL" not in page
    assert "connect-src 'self'; worker-src blob:" in page
    assert "maplibre" not in viewer_page(replace(TILESET, format="png"), ()).decode().lower()


def test_the_qgis_layer_has_the_styles_colours() -> None:
    root = ElementTree.fromstring(layer_definition(TILESET, legend_of(TILESET)))
    entries = [
        (entry.get("layer"), entry.get("expression"), entry.find(".//Option[@name='color']"))
        for entry in root.iter("style")
    ]
    (park,) = [fill.get("value") for layer, _, fill in entries if layer == "parks" and fill is not None]
    assert park == "{},{},{},255".format(*find_style("maps").colour_of("park"))
    assert {layer for layer, *_ in entries} == set(TILESET.feature_layers)
    assert [node.get("providerKey") for node in root.iter("layer-tree-layer")] == ["vectortile", "ogr"]


def test_a_folder_with_styles_is_one_of_tiles(tmp_path: Path) -> None:
    """Nothing in it is unexpected, and it may be replaced."""
    town = write_town(tmp_path / "town.gpkg")
    convert(town, tmp_path / "v", style="dark")
    assert {path.name for path in (tmp_path / "v").glob("style.*")} == {f"style.{name}.json" for name in STYLES}
    assert first_unexpected(tmp_path / "v") is None
    assert json.loads((tmp_path / "v" / "tilejson.json").read_text())["geo2map"]["style"]["name"] == "dark"
    convert(town, tmp_path / "v", overwrite=True)
    (tmp_path / "v" / "style.json.txt").write_text("mine")
    assert first_unexpected(tmp_path / "v") == tmp_path / "v" / "style.json.txt"


def test_pictures_say_in_which_style_they_are_drawn(tmp_path: Path) -> None:
    town = write_town(tmp_path / "town.gpkg", (*FEATURES, area("coverage", 0, 0, 768, 768)))
    draw(town, tmp_path / "dark", style="dark")
    draw(town, tmp_path / "maps")
    assert "road\t92\t98\t110" in (tmp_path / "dark" / "legend.tsv").read_text()
    assert "road\t92\t98\t110" not in (tmp_path / "maps" / "legend.tsv").read_text()
