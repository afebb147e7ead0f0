"""Features as rows and as vector tiles: places, cuts, styles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from mapbox_vector_tile import decode

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError, TileSetError
from geo2map.features import UNITS, Region, RoadLine, Style, feature_layers
from geo2map.features.style import STYLES, palette_style
from geo2map.formats.vectors.frame import MapFrame
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.tiles import EXTENT, vector_tiles
from geo2map.formats.vectors.write import FeatureWriter
from geo2map.grid import PixelWindow
from geo2map.tiles.mvt import is_whole_vector
from geo2map.tiles.tilejson import TileSet

ZOOM = 17
WINDOW = PixelWindow(256 * 38600, 256 * 49273, 256 * 38604, 256 * 49276)
LEGEND = [[name, list(colour)] for name, colour in MAPS_PALETTE.entries]
TILESET = TileSet("town", "mvt", 12, ZOOM, WINDOW, {"legend": LEGEND, "model": "m 1"})


def units(*points: tuple[float, float]) -> np.ndarray:
    """Pixels of the window as units of the map."""
    return np.rint((np.array(points) + np.array(WINDOW[:2])) * UNITS).astype(np.int64)


def road(*points: tuple[float, float], kind: str = "road", width: float = 8.0) -> RoadLine:
    return RoadLine(kind, units(*points), width, 0.0, 0.8, False, False)


def area(kind: str, *points: tuple[float, float]) -> Region:
    return Region(kind, shapely.Polygon(units(*points)), 0.0, None)


def write(path: Path, *features: RoadLine | Region) -> FeatureFile:
    writer = FeatureWriter(path, TILESET, MAPS_PALETTE.classes)
    for feature in features:
        writer.add(feature)
    writer.complete(STYLES["maps"])
    return FeatureFile.open(path)


@given(
    zoom=st.integers(0, 24),
    x=st.integers(0, 2**36 - 1),
    y=st.integers(0, 2**36 - 1),
)
def test_degrees_lead_back_to_the_same_units(zoom: int, x: int, y: int) -> None:
    side = 256 * UNITS << zoom
    point = np.array([(x % side, y % side)], np.int64)
    frame = MapFrame(zoom, PixelWindow(0, 0, 256, 256))
    assert (frame.to_units(frame.to_degrees(point)) == point).all()


def test_features_come_back_as_they_were_written(tmp_path: Path) -> None:
    line, house = road((10, 10), (200.5, 30.25)), area("building", (5, 5), (9, 5), (9, 12), (5, 12))
    file = write(tmp_path / "a.gpkg", line, house)
    found_house, found_line = sorted(file.features(), key=lambda each: isinstance(each, RoadLine))
    assert isinstance(found_line, RoadLine)
    assert (found_line.line == line.line).all()
    assert (found_line.width, found_line.bridged, found_line.confidence) == (8.0, False, 0.8)
    assert isinstance(found_house, Region)
    assert found_house.polygon.equals(house.polygon)
    assert found_house.confidence is None
    assert list(file.layers) == ["water", "parks", "buildings", "road_areas", "roads"]


def test_a_window_gives_what_touches_it(tmp_path: Path) -> None:
    file = write(tmp_path / "a.gpkg", road((10, 10), (20, 10)), road((600, 10), (700, 10)))
    near = PixelWindow(WINDOW.left, WINDOW.top, WINDOW.left + 256, WINDOW.top + 256)
    assert len(file.near(near)) == 1
    assert len(file.near(near, 400)) == 2
    assert file.near(near, 400, where={"buildings": ""}) == []
    assert len(file.near(near, 400, where={"roads": "width > 9"})) == 0


def test_a_line_over_tiles_is_whole_when_they_are_joined(tmp_path: Path) -> None:
    line = road((20, 20), (300, 260), (800, 700))
    tiles = dict(vector_tiles(write(tmp_path / "a.gpkg", line), 12))
    parts = []
    for tile, data in tiles.items():
        if tile.z == ZOOM:
            (each,) = decode(data, default_options={"y_coord_down": True})["roads"]["features"]
            shape = shapely.geometry.shape(each["geometry"])
            parts.append(shapely.transform(shape, lambda points, tile=tile: points + np.array(tile[:2]) * EXTENT))
            assert each["properties"]["class"] == "road"
    joined, whole = shapely.union_all(parts), shapely.LineString(line.line)
    assert shapely.hausdorff_distance(joined, whole) <= 1.5
    assert {tile.z for tile in tiles} == {12, 13, 14, 15, 16, 17}


def test_small_areas_go_and_houses_wait_for_their_zoom(tmp_path: Path) -> None:
    pond = area("water", (5, 5), (15, 5), (15, 15), (5, 15))
    house = area("building", (100, 100), (140, 100), (140, 140), (100, 140))
    tiles = dict(vector_tiles(write(tmp_path / "a.gpkg", pond, house), 12))
    shown = {tile.z: set(decode(data)) for tile, data in tiles.items() if data}
    assert shown[17] == {"water", "buildings"}
    assert "water" not in shown.get(14, set())  # 1.6 square pixels
    assert 13 not in shown or "buildings" not in shown[13]


def test_highways_are_at_every_zoom(tmp_path: Path) -> None:
    tiles = dict(vector_tiles(write(tmp_path / "a.gpkg", road((0, 0), (900, 700), kind="highway")), 5))
    assert {tile.z for tile in tiles} == set(range(5, 18))


def test_the_same_features_give_the_same_bytes(tmp_path: Path) -> None:
    features = [road((10, 10), (200, 30)), area("park", (5, 5), (90, 5), (90, 120), (5, 120))]
    one, other = write(tmp_path / "a.gpkg", *features), write(tmp_path / "b.gpkg", *features)
    assert one.path.read_bytes() == other.path.read_bytes()
    turned = write(tmp_path / "c.gpkg", *reversed(features))
    assert dict(vector_tiles(one, 12)) == dict(vector_tiles(turned, 12))


@given(st.binary(min_size=1, max_size=60))
def test_a_tile_cut_short_is_noticed(payload: bytes) -> None:
    data = b"\x1a" + bytes([len(payload)]) + payload
    assert is_whole_vector(data)
    assert is_whole_vector(data + data)
    assert not is_whole_vector(data[:-1])
    assert not is_whole_vector(data + b"\x00")


def test_an_empty_map_has_all_its_layers(tmp_path: Path) -> None:
    file = write(tmp_path / "a.gpkg")
    assert list(file.layers) == list(feature_layers(MAPS_PALETTE.classes))
    assert list(file.features()) == []
    assert dict(vector_tiles(file, 12)) == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.gpkg", road((10, 10), (200, 30)))
    data = (tmp_path / "a.gpkg").read_bytes()
    (tmp_path / "a.gpkg").write_bytes(data[: len(data) // 3])
    with pytest.raises(TileSetError, match=r"a\.gpkg"):
        list(FeatureFile.open(tmp_path / "a.gpkg").features())


# Styles


@pytest.mark.parametrize("name", STYLES)
def test_a_style_survives_as_plain_values(name: str) -> None:
    assert Style.of(json.loads(json.dumps(STYLES[name].to_dict()))) == STYLES[name]


def test_a_file_states_classes_from_below(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(
        '{"background": "#ffffff", "classes": {"road": {"colour": "#000001", "casing": "#000002"}, "park": "#000003"}}'
    )
    style = Style.of(tmp_path / "mine.json")
    assert style.name == "mine"
    assert [(rule.kind, rule.shape) for rule in style.rules] == [
        *(("park", "area"), ("road", "casing")),
        *(("road", "area"), ("road", "line")),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"background": "white", "classes": {}}',
        '{"classes": {"road": "#ffffff"}}',
        '{"background": "#ffffff", "classes": {"road": 7}}',
        '{"background": "#ffffff", "classes": {"road": {}}}',
    ],
)
def test_what_is_no_style_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="not a style"):
        Style.of(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"classes": {"road": "#ffffff"}}', "'background' is missing"),
        ('{"version": 8, "sources": {}, "layers": []}', "a style for MapLibre"),
        (None, "not found"),
    ],
)
def test_what_is_wrong_with_a_style_is_said(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=said):
        Style.of(tmp_path / "a.json")


def test_classes_of_other_legends_lie_below() -> None:
    style = palette_style([("land", (1, 1, 1)), ("road", (2, 2, 2)), ("field", (3, 3, 3)), ("water", (4, 4, 4))])
    assert style.kinds == ("field", "water", "road")
    assert style.background == (1, 1, 1)
    style.require_classes(["field", "road", "water"])
    with pytest.raises(DataError, match="'field' is not one of the map's"):
        style.require_classes(["road", "water"])
