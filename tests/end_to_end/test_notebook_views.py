"""What notebooks show of plans, reports and cards."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import rasterio
import shapely
from small_town import write_town

from geo2map import Engine, Plan, Report, convert, render
from geo2map.aoi import make_aoi
from geo2map.colour.palette import Palette
from geo2map.features import find_style
from geo2map.formats.opened import open_tiles
from geo2map.formats.thumbnail import thumbnail
from geo2map.grid import PixelWindow, tile_range
from geo2map.model.file import load_card
from geo2map.model.registry import DATA
from geo2map.scene import View
from geo2map.testing import make_card
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.tilejson import TileSet

WINDOW = PixelWindow(13055 * 256 + 37, 8467 * 256 + 21, 13060 * 256, 8470 * 256 - 3)
NAME = '</div><script>alert(1)</script> "it\'s" & 東京'


def plan_of(window: PixelWindow = WINDOW, **more: Any) -> Plan:
    return Plan(name=NAME, view=View(14), window=window, block_span=2, **more)


def text_of(html: str) -> str:
    """Its words; refuses what is not whole, too large, or asks somebody."""
    assert len(html.encode()) < 60_000
    assert "<script" not in html
    assert "http" not in html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    for tag in ("div", "table", "svg"):
        assert html.count(f"<{tag}") == html.count(f"</{tag}>")
    return " ".join(found)


def picture_in(html: str) -> PIL.Image.Image:
    """The one picture in it."""
    (data,) = re.findall(r"base64,([^\"]*)", html)
    return PIL.Image.open(io.BytesIO(b64decode(data))).convert("RGB")


def test_a_plan() -> None:
    plan = plan_of(notes=("warning: <b>far</b>",))
    html = plan._repr_html_()
    assert html == plan_of(notes=plan.notes)._repr_html_()
    text = text_of(html)
    for word in (NAME, "1243 x 744 px, 5 x 3 tiles", "106.85620, -6.09660", "6 of at most 2 x 2", "<b>far</b>"):
        assert word in text
    assert re.findall(r"<svg[^>]* width=\"([\d.]+)\" height=\"([\d.]+)\"", html) == [("240", "143.7")]
    (lines,) = re.findall(r'<path d="([^"]*)" fill="none"', html)
    assert lines.count("V") == 2  # columns of blocks start at 13054, 13056, 13058
    assert lines.count("H") == 1


def test_the_area_in_a_plan() -> None:
    circle = shapely.Point(106.91, -6.064).buffer(0.02)
    html = plan_of(aoi=make_aoi(circle.difference(shapely.Point(106.91, -6.064).buffer(0.01))))._repr_html_()
    assert "in the area of interest" in text_of(html)
    (outline,) = re.findall(r'<path d="([^"]*)" fill="#f2b25c"', html)
    corners = np.array([[float(number) for number in pair.split()] for pair in re.split("[MLZ]+", outline)[1:-1]])
    assert outline.count("M") == 2
    scale = 240 / WINDOW.width
    middle = ((106.91 + 180) / 360 * 256 * 2**14 - WINDOW.left) * scale
    assert corners.mean(0)[0] == pytest.approx(middle, abs=1)
    radius = 0.02 / 360 * 256 * 2**14 * scale
    assert corners[:, 0].max() == pytest.approx(middle + radius, abs=1)


def test_an_area_of_ten_thousand_corners_stays_small() -> None:
    angles = np.linspace(0, 2 * np.pi, 20_000)[:-1]
    radii = 0.03 + 0.02 * np.sin(3000 * angles)
    star = shapely.Polygon(np.column_stack([106.91 + radii * np.cos(angles), -6.064 + 0.5 * radii * np.sin(angles)]))
    html = plan_of(aoi=make_aoi(star))._repr_html_()
    text_of(html)
    assert 'fill="#f2b25c"' in html
    corners = [(106.86 + 0.002 * column, -6.09 + 0.002 * row) for column in range(45) for row in range(25)]
    specks = shapely.MultiPolygon([shapely.box(x, y, x + 0.001, y + 0.001) for x, y in corners])
    text_of(plan_of(aoi=make_aoi(specks))._repr_html_())


def test_a_plan_across_the_antimeridian() -> None:
    world = 256 * 2**14
    window = PixelWindow(world - 512, 8000 * 256, world + 500, 8002 * 256)
    aoi = make_aoi((179.99, 3.9, -179.99, 4.5))
    html = plan_of(window, aoi=aoi)._repr_html_()
    (outline,) = re.findall(r'<path d="([^"]*)" fill="#f2b25c"', html)
    columns = [float(pair.split()[0]) for pair in re.split("[MLZ]+", outline)[1:-1]]
    middle = 512 * 240 / 1012
    assert min(columns) < middle < max(columns)


@pytest.mark.parametrize("out", ["tiles", "map.tif", "map.mbtiles", "map.pmtiles"])
def test_a_report_shows_its_map(quick_engine: Engine, write_sheet: Any, tmp_path: Path, out: str) -> None:
    """In every container the very pixels of the map, north up, made smaller."""
    scene = write_sheet("a.tif", side=420)
    report = render(scene, tmp_path / out, engine=quick_engine, minzoom=13)
    html = report._repr_html_()
    assert html == report._repr_html_()
    text = text_of(html)
    for word in (str(tmp_path / out), "13 to 17", f"{report.tiles} at zoom 17", report._blocks):
        assert word in text
    again = text_of(render(scene, tmp_path / out, engine=quick_engine, minzoom=13)._repr_html_())
    assert "complete" in again
    assert "at zoom 17" not in again
    render(scene, tmp_path / "whole.tif", engine=quick_engine)
    with rasterio.open(tmp_path / "whole.tif") as dataset:
        *colours, alpha = dataset.read()
    with open_tiles(tmp_path / "whole.tif") as (_, tileset):
        part = tileset.window.slices(PixelWindow(*(256 * edge for edge in tile_range(tileset.window))))
    whole = np.where(alpha[..., None], np.dstack(colours), 255)[part]
    assert (thumbnail(tmp_path / out) == whole).all()
    small = PIL.Image.fromarray(whole.astype(np.uint8)).resize(picture_in(html).size, PIL.Image.Resampling.BOX)
    assert max(small.size) >= 160
    assert np.abs(np.asarray(small, int) - np.asarray(picture_in(html), int)).mean() < 12  # of few colours


def test_a_raster_on_the_scenes_grid(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    render(write_sheet("a.tif", side=420), tmp_path / "map.tif", engine=quick_engine, grid="scene")
    with rasterio.open(tmp_path / "map.tif") as dataset:
        *colours, alpha = dataset.read()
    assert (thumbnail(tmp_path / "map.tif") == np.where(alpha[..., None], np.dstack(colours), 255)).all()
    (tmp_path / "map.tif").write_bytes(b"no raster")
    assert thumbnail(tmp_path / "map.tif") is None


def test_features_are_drawn_and_vector_tiles_not(tmp_path: Path) -> None:
    write_town(tmp_path / "town.gpkg")
    shown = thumbnail(tmp_path / "town.gpkg")
    assert shown is not None
    assert shown.shape == (384, 384, 3)
    park = find_style("maps").colour_of("park")
    assert np.abs(shown[280, 275].astype(int) - park).max() < 3
    convert(tmp_path / "town.gpkg", tmp_path / "v")
    assert thumbnail(tmp_path / "v") is None


def test_a_large_map_is_shown_by_its_overviews(tmp_path: Path) -> None:
    """Of a map that lacks low zooms there is no picture: it would be put together of too many tiles."""
    shown = {}
    tile = encode_tile(np.full((256, 256, 3), 9, np.uint8), np.ones((256, 256), np.bool_), "png")
    for minzoom in (10, 14):
        tileset = TileSet("large", "png", minzoom, 14, PixelWindow(0, 0, 256 * 16, 256 * 8))
        folder = tmp_path / str(minzoom)
        for zoom in range(minzoom, 15):
            for column, row in product(range(max(1, 16 >> 14 - zoom)), range(max(1, 8 >> 14 - zoom))):
                path = folder / str(zoom) / str(column) / f"{row}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tile if zoom < 12 else b"never read")
        tileset.write(folder)
        shown[minzoom] = thumbnail(folder)
    assert shown[10] is not None
    assert shown[10].shape == (128, 256, 3)
    assert (shown[10] == 9).all()
    assert shown[14] is None


def test_a_report_whose_map_is_gone_or_failed_or_is_elsewhere(tmp_path: Path) -> None:
    gone = Report(NAME, path=str(tmp_path / "gone"), notes=("<i>note</i>",))
    for report in (gone, replace(gone, path=""), replace(gone, path="s3://bucket/<tiles>")):
        html = report._repr_html_()
        assert NAME in text_of(html)
        assert "<img" not in html
        assert "<i>" not in html
    failed = replace(gone, error="scene: <b>broken</b>; give another")
    assert "scene: <b>broken</b>; give another" in text_of(failed._repr_html_())


def test_cards() -> None:
    card = load_card(DATA / "sat2map.safetensors")
    html = card._repr_html_()
    assert html == card._repr_html_()
    text = text_of(html)
    for word in ("sat2map", card.fingerprint, "maps from imagery", "0.905 m per pixel (zoom 17)", "water"):
        assert word in text
    assert card.palette is not None
    for _, colour in card.palette.entries:
        assert "#{:02x}{:02x}{:02x}".format(*colour) in html
    hostile = make_card(name=NAME, limits="<img src=x>" * 999, palette=Palette(((NAME, (1, 2, 3)),) * 99))
    assert NAME in text_of(hostile._repr_html_())
    assert "<svg" not in make_card()._repr_html_()
