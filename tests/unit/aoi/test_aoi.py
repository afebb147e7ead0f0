"""Areas of interest: whatever users have becomes the same polygon, and every tile and pixel is in it or not."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import transform
from shapely.geometry import mapping

from geo2map import grid
from geo2map.aoi import Aoi, bounds_aoi, load_aoi, make_aoi
from geo2map.aoi.reader import _in_utf8
from geo2map.errors import AoiError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block

PARK = shapely.box(-73.98, 40.76, -73.95, 40.80)
WITH_HOLE = shapely.Polygon(
    [(-73.98, 40.76), (-73.95, 40.77), (-73.95, 40.80), (-73.98, 40.80)],
    [[(-73.97, 40.775), (-73.96, 40.775), (-73.96, 40.79)]],
)


def degrees(aoi: Aoi) -> shapely.Geometry:
    """The area in longitude and latitude, by mercantile and not by PROJ."""
    return shapely.transform(aoi.geometry, lambda xy: np.array([mercantile.lnglat(*point) for point in xy]))


@st.composite
def stars(draw: st.DrawFn, half_pixels: bool = False) -> tuple[Aoi, int]:
    """A star of one or two rings around the middle of the pixels (1000..3000, 2000..4000) of zoom 12 to 18.

    Args:
        half_pixels: all corners lie on pixel centres and corners, where ties are.
    """
    zoom = draw(st.integers(12, 18))
    count = draw(st.integers(3, 9))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + draw(st.floats(0, 1))
    radii = np.array(draw(st.lists(st.floats(3, 900), min_size=count, max_size=count)))
    middle = np.array(draw(st.tuples(st.floats(1500, 2500), st.floats(2500, 3500))))
    corners = np.column_stack((np.cos(angles), np.sin(angles))) * radii[:, None]
    rings = [corners + middle] + ([corners * 0.5 + middle] if draw(st.booleans()) else [])
    if half_pixels:
        rings = [np.rint(2 * ring) / 2 for ring in rings]
    polygon = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
    size = grid.mercator_resolution(zoom)
    metres = shapely.transform(polygon, lambda xy: (xy * (1, -1)) * size + (-grid.HALF_WORLD, grid.HALF_WORLD))
    parts = [part for part in shapely.get_parts(metres) if part.geom_type == "Polygon"]
    return Aoi(shapely.union_all(parts or [shapely.box(0, 0, 1, 1)]).wkt), zoom


# The value


def test_a_value() -> None:
    aoi = make_aoi(WITH_HOLE)
    again = Aoi(**json.loads(json.dumps({"wkt": aoi.wkt})))
    assert again == aoi
    assert hash(again) == hash(aoi)
    assert pickle.loads(pickle.dumps(aoi)) == aoi  # with its geometry prepared
    assert again.geometry.equals_exact(aoi.geometry, 0)


@pytest.mark.parametrize("wkt", ["POINT (1 2)", "POLYGON EMPTY", "GEOMETRYCOLLECTION EMPTY"])
def test_no_area_is_no_aoi(wkt: str) -> None:
    with pytest.raises(AoiError, match="is not a polygon"):
        Aoi(wkt)


# Tiles


@given(stars())
def test_the_tiles_are_those_with_a_share_of_the_area(star: tuple[Aoi, int]) -> None:
    """The referee is mercantile's list of tiles and shapely's area; a hundredth of a pixel more or less is forgiven."""
    aoi, zoom = star
    pixel = grid.mercator_resolution(zoom)
    frame = PixelWindow(1, 4, 16, 20)
    found = {(frame.left + x, frame.top + y) for y, x in np.argwhere(aoi.tiles(frame, zoom)).tolist()}
    near = mercantile.tiles(*degrees(aoi).buffer(1e-4).bounds, zooms=zoom)
    boxes = {(tile.x, tile.y): shapely.box(*mercantile.xy_bounds(tile)) for tile in near}
    sure = {tile for tile, box in boxes.items() if box.buffer(-0.011 * pixel).intersection(aoi.geometry).area > 0}
    possible = {tile for tile, box in boxes.items() if box.buffer(-0.009 * pixel).intersects(aoi.geometry)}
    assert sure <= found <= possible


@given(st.integers(0, 24), st.floats(0, 0.99), st.floats(0, 0.99), st.sampled_from([9, 17]))
def test_the_bounds_of_a_tile_are_that_tile(zoom: int, x: float, y: float, digits: int) -> None:
    """Also when they were rounded to 0.1 mm, as they are in tilejson.json."""
    tile = mercantile.Tile(int(x * 2**zoom), int(y * 2**zoom), zoom)
    aoi = bounds_aoi(*(round(value, digits) for value in mercantile.bounds(tile)))
    window = grid.tile_window(tile)
    if digits == 17 or zoom < 22:
        assert aoi.cut(grid.world_window(zoom), zoom, False, "world") == window
        assert aoi.cut(grid.world_window(zoom), zoom, True, "world") == window
        world = PixelWindow(0, 0, 2**zoom, 2**zoom)
        around = PixelWindow(tile.x - 1, tile.y - 1, tile.x + 2, tile.y + 2).intersection(world)
        assert aoi.tiles(around, zoom).sum() == 1
    assert aoi.mask(Block(zoom, tile.x, tile.y, 1, 1), clip=True)[1:-1, 1:-1].all()


# Pixels


@given(stars(), st.booleans())
def test_pixels_are_inside_when_their_centres_are(star: tuple[Aoi, int], clip: bool) -> None:
    aoi, zoom = star
    block = Block(zoom, 5, 9, 4, 3)
    found = aoi.mask(block, clip)
    if not clip:
        np.testing.assert_array_equal(found[::256, ::256], aoi.tiles(PixelWindow(5, 9, 9, 12), zoom))
        np.testing.assert_array_equal(found, found[::256, ::256].repeat(256, 0).repeat(256, 1))
        return
    matrix = grid.window_transform(block.core, zoom)
    x, y = matrix @ (np.arange(0, 1024, 5) + 0.5, np.zeros(205))
    _, y = matrix @ (np.zeros(154), np.arange(0, 768, 5) + 0.5)
    x, y = np.meshgrid(x, y)
    expected = shapely.contains_xy(aoi.geometry, x, y)
    doubtful = shapely.dwithin(aoi.geometry.boundary, shapely.points(x, y), 1e-6 * matrix.a)
    np.testing.assert_array_equal(found[::5, ::5] | doubtful, expected | doubtful)


@given(stars(half_pixels=True), st.integers(3, 6), st.integers(7, 10), st.integers(1, 4), st.integers(1, 4))
def test_a_pixel_is_in_or_out_whichever_block_asks(star: tuple[Aoi, int], x: int, y: int, w: int, h: int) -> None:
    """Corners of the polygons lie on pixel centres, so that rounding would show."""
    aoi, zoom = star
    whole, part = Block(zoom, 3, 7, 8, 8), Block(zoom, x, y, w, h)
    rows, columns = part.core.slices(whole.core)
    np.testing.assert_array_equal(aoi.mask(whole, True)[rows, columns], aoi.mask(part, True))


# The window


def test_the_window_reaches_to_whole_tiles_or_to_the_last_pixel() -> None:
    scene = PixelWindow(1000, 2000, 3000, 3500)
    x, y = grid.window_transform(PixelWindow(0, 0, 1, 1), 17) @ (np.array([1300.2, 1400.7]), np.array([2100.0, 2600.4]))
    aoi = Aoi(shapely.box(x[0], y[1], x[1], y[0]).wkt)
    assert aoi.cut(scene, 17, True, "town") == PixelWindow(1300, 2100, 1401, 2601)
    assert aoi.cut(scene, 17, False, "town") == PixelWindow(1280, 2048, 1536, 2816)
    assert aoi.cut(PixelWindow(1290, 2000, 1390, 2300), 17, False, "town") == PixelWindow(1290, 2048, 1390, 2300)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((2, -0.5, 3, 0.5), "111 km east"),
        ((-2, -0.5, -1, 0.5), "111 km west"),
        ((-0.5, 2, 0.5, 3), "111 km north"),
        ((-0.5, -2, 0.5, -1), "111 km south"),
        ((1.1, 1.1, 1.2, 1.2), "15.7 km north-east"),
        ((-0.2, -0.2, -0.1, -0.1), "15.7 km south-west"),
        ((1.005, 0.5, 1.1, 0.6), r"55\d m east"),
    ],
)
def test_an_area_elsewhere_says_how_far(bounds: tuple[float, float, float, float], said: str) -> None:
    """Of a scene at 0..1 degrees east and north; a degree is 111.3 km of the equator, 110.6 km of a meridian there."""
    scene = bounds_aoi(0, 0, 1, 1).cut(grid.world_window(14), 14, True, "world")
    far = bounds_aoi(*bounds)
    with pytest.raises(AoiError, match=rf"lies {said} of town, which covers 0.00000,-?0.00000,1.000\d\d,1.000\d\d"):
        far.cut(scene, 14, False, "town")


def test_the_shorter_way_round_the_earth() -> None:
    fiji = bounds_aoi(179.8, -18, 179.9, -17).cut(grid.world_window(14), 14, True, "world")
    with pytest.raises(AoiError, match=r"lies 21\.\d km east of fiji"):
        bounds_aoi(-179.9, -18, -179.8, -17).cut(fiji, 14, False, "fiji")


# Straight lines are straight in their own CRS


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32618", "EPSG:2263", "EPSG:3031", "EPSG:4807"])
def test_long_edges_are_bent_as_they_should(crs: str, tmp_path: Path) -> None:
    """Points on the edges of a large triangle, projected one by one, lie on the area's border within 5 cm."""
    corners = {
        "EPSG:4326": [(-75, 40), (-72, 44), (-71, 41)],
        "EPSG:32618": [(400_000, 4_400_000), (600_000, 4_900_000), (650_000, 4_500_000)],
        "EPSG:2263": [(900_000, 100_000), (1_100_000, 400_000), (1_200_000, 150_000)],  # feet
        "EPSG:3031": [(1e6, 1e6), (1.2e6, 1.5e6), (1.5e6, 1.1e6)],
        "EPSG:4807": [(0, 50), (2, 54), (3, 51)],  # grads from Paris
    }[crs]
    aoi = load_aoi(write_vector(tmp_path / "area.gpkg", [shapely.Polygon(corners)], crs=crs))
    along = shapely.line_interpolate_point(shapely.LinearRing(corners), np.linspace(0, 1, 999), normalized=True)
    points = shapely.points(np.column_stack(transform(crs, "EPSG:3857", shapely.get_x(along), shapely.get_y(along))))
    latitude = degrees(aoi).bounds[1]
    ground = shapely.distance(aoi.geometry.boundary, points) * np.cos(np.radians(latitude))
    assert ground.max() < 0.05
    straight = shapely.Polygon(np.column_stack(transform(crs, "EPSG:3857", *np.array(corners).T)))
    assert straight.symmetric_difference(aoi.geometry).area / straight.area > 1e-4  # corners alone are not enough


def test_parallels_and_meridians_need_no_more_points() -> None:
    assert shapely.get_num_coordinates(make_aoi(PARK).geometry) == 5
    assert make_aoi(PARK) == bounds_aoi(*PARK.bounds) == make_aoi(PARK.bounds)


# Files


def write_vector(path: Path, geometries: list[Any], crs: str | None = "EPSG:4326", **options: Any) -> Path:
    """Writes geometries with pyogrio; a layer is added where `layer` and `append` say so."""
    kinds = {geometry.geom_type for geometry in geometries}
    options = {"geometry_type": kinds.pop() if len(kinds) == 1 else "Unknown", **options}
    if geometries[0].has_z:
        options["geometry_type"] += " Z"
    wkb = np.array([shapely.to_wkb(geometry) for geometry in geometries], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what happens here on purpose: no CRS
        pyogrio.raw.write(path, wkb, [np.arange(len(geometries))], ["number"], crs=crs, **options)
    return path


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".shp", ".fgb", ".kml", ".gml"])
def test_any_vector_file(suffix: str, tmp_path: Path) -> None:
    options = {"driver": "LIBKML"} if suffix == ".kml" else {}
    assert load_aoi(write_vector(tmp_path / f"area{suffix}", [WITH_HOLE], **options)) == make_aoi(WITH_HOLE)


def test_a_zipped_shapefile(tmp_path: Path) -> None:
    write_vector(tmp_path / "area.shp", [WITH_HOLE])
    with zipfile.ZipFile(tmp_path / "area.zip", "w") as archive:
        for path in tmp_path.glob("area.*[!p]"):
            archive.write(path, path.name)
        archive.write(tmp_path / "area.shp", "area.shp")
    assert load_aoi(tmp_path / "area.zip") == make_aoi(WITH_HOLE)


@pytest.mark.parametrize("crs", ["EPSG:32618", "EPSG:2263", "EPSG:3857", "EPSG:4269", "ESRI:54009"])
def test_any_crs(crs: str, tmp_path: Path) -> None:
    corners = shapely.segmentize(PARK, 0.0001)
    there = shapely.transform(corners, lambda xy: np.column_stack(transform("EPSG:4326", crs, *xy.T)))
    found = load_aoi(write_vector(tmp_path / "area.gpkg", [there], crs=crs))
    assert found.geometry.symmetric_difference(make_aoi(PARK).geometry).area < 1e-6 * found.geometry.area


def test_features_are_joined_and_other_geometries_passed_over(tmp_path: Path) -> None:
    two = [
        shapely.box(0, 0, 1, 1),
        shapely.box(1, 0, 2, 1),
        shapely.Point(50, 50),
        shapely.LineString([(9, 9), (8, 9)]),
    ]
    expected = bounds_aoi(0, 0, 2, 1).geometry
    assert load_aoi(write_vector(tmp_path / "area.geojson", two)).geometry.equals(expected)
    nested = shapely.GeometryCollection([shapely.GeometryCollection(two[2:]), shapely.MultiPolygon(two[:2])])
    assert make_aoi(nested).geometry.equals(expected)


def test_the_first_layer_with_polygons(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "area.gpkg", [shapely.Point(1, 1)], layer="places")
    write_vector(path, [shapely.box(0, 0, 2, 1)], layer="lots", append=True)
    write_vector(path, [shapely.box(5, 5, 6, 6)], layer="later", append=True)
    assert load_aoi(path) == bounds_aoi(0, 0, 2, 1)


def test_polygons_with_heights(tmp_path: Path) -> None:
    assert load_aoi(write_vector(tmp_path / "a.gpkg", [shapely.force_3d(PARK, 12)])) == make_aoi(PARK)


def geojson(*geometries: Any, **members: Any) -> dict[str, Any]:
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries]
    return {"type": "FeatureCollection", "features": features, **members}


def test_geojson_as_a_dict() -> None:
    geometry = mapping(WITH_HOLE)
    expected = make_aoi(WITH_HOLE)
    assert make_aoi(geometry) == expected
    assert make_aoi({"type": "Feature", "properties": None, "geometry": geometry}) == expected
    assert make_aoi(geojson(geometry, None)) == expected


def test_the_crs_member_of_old_geojson() -> None:
    x, y = transform("EPSG:4326", "EPSG:32618", *np.array(PARK.exterior.coords).T)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32618"}}
    found = make_aoi(geojson({"type": "Polygon", "coordinates": [list(zip(x, y, strict=True))]}, crs=crs))
    assert found.geometry.symmetric_difference(make_aoi(PARK).geometry).area < 1e-3 * found.geometry.area


def test_a_bow_tie_becomes_its_two_halves() -> None:
    found = make_aoi(shapely.Polygon([(0, 0), (1, 1), (0, 1), (1, 0)]))
    assert found.geometry.is_valid
    assert degrees(found).area == pytest.approx(0.5, rel=1e-3)


def test_many_vertices_stay() -> None:
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radii = 0.1 + 0.002 * np.sin(angles * 5000)
    coast = shapely.Polygon(np.column_stack((10 + radii * np.cos(angles), 50 + radii * np.sin(angles))))
    aoi = make_aoi(coast)
    assert shapely.get_num_coordinates(aoi.geometry) > 99_000
    back = shapely.transform(aoi.geometry, lambda xy: np.column_stack(transform("EPSG:3857", "EPSG:4326", *xy.T)))
    assert back.symmetric_difference(coast).area < 1e-6 * coast.area
    found = aoi.cut(grid.world_window(17), 17, True, "world")
    inside = aoi.tiles(grid.tile_range(found), 17)
    assert 6000 < inside.sum() < 8000


# The antimeridian


@pytest.mark.parametrize(
    "spelling",
    [
        shapely.box(170, -20, 190, -10),
        shapely.box(-190, -20, -170, -10),
        shapely.Polygon([(170, -20), (-170, -20), (-170, -10), (170, -10)]),
        shapely.Polygon([(-170, -10), (170, -10), (170, -20), (-170, -20)]),
        shapely.MultiPolygon([shapely.box(170, -20, 180, -10), shapely.box(-180, -20, -170, -10)]),
        (170, -20, -170, -10),
    ],
    ids=["beyond 180", "beyond -180", "short way", "short way, other start", "cut in two", "bounds"],
)
def test_across_the_antimeridian(spelling: Any) -> None:
    found = degrees(make_aoi(spelling))
    expected = shapely.union_all([shapely.box(170, -20, 180, -10), shapely.box(-180, -20, -170, -10)])
    assert found.symmetric_difference(expected).area < 1e-5


def test_a_scene_across_the_antimeridian() -> None:
    """Its columns go on beyond the world's right edge; the area has the same tiles there."""
    both, east = bounds_aoi(179.9, -18, -179.9, -17.9), bounds_aoi(-179.95, -18, -179.9, -17.9)
    world = grid.world_window(12)
    scene = PixelWindow(world.right - 5000, 570_000, world.right + 5000, 580_000)
    window = both.cut(scene, 12, True, "fiji")
    assert (window.left - world.right, window.right - world.right) == (-292, 292)
    assert both.tiles(grid.tile_range(window), 12).all()
    window = east.cut(scene, 12, True, "fiji")
    assert (window.left - world.right, window.right - world.right) == (145, 292)
    column, row = window.left // 256, window.top // 256
    beyond, inside = (east.mask(Block(12, x, row, 2, 1), True) for x in (column, column - 4096))
    np.testing.assert_array_equal(beyond, inside)
    assert beyond.any()


def test_a_hole_across_the_antimeridian() -> None:
    shell = [(170, -20), (-170, -20), (-170, -10), (170, -10)]
    for hole in ([(-178, -18), (175, -18), (175, -15), (-178, -15)], [(-178, -18), (-175, -18), (-176, -15)]):
        found = degrees(make_aoi(shapely.Polygon(shell, [hole])))
        unrolled = shapely.Polygon([(x % 360, y) for x, y in hole])
        assert found.area == pytest.approx(200 - unrolled.area, abs=1e-3)


def test_a_utm_zone_across_the_antimeridian(tmp_path: Path) -> None:
    zone_1 = shapely.box(150_000, 8_000_000, 250_000, 8_100_000)  # reaches to 179.7 E
    found = degrees(load_aoi(write_vector(tmp_path / "area.gpkg", [zone_1], crs="EPSG:32701")))
    west, _, east, _ = found.bounds
    assert (west, east) == pytest.approx((-180, 180))
    assert found.area < 1.2


def test_the_whole_world_is_the_whole_world() -> None:
    for world in (shapely.box(-180, -90, 180, 90), (-180, -90, 180, 90)):
        assert make_aoi(world).cut(grid.world_window(3), 3, True, "world") == grid.world_window(3)
        assert make_aoi(world).tiles(PixelWindow(0, 0, 8, 8), 3).all()


# What is no area


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (shapely.Point(1, 2), "it holds Point; give a file with a polygon"),
        (shapely.LineString([(1, 1), (2, 2)]), "it holds LineString"),
        (shapely.Polygon(), "it holds no geometry"),
        (shapely.Polygon([(0, 0), (1, 1), (2, 2)]), "has no area"),
        (shapely.box(0, 86, 1, 88), "has no area between 85.05° N and S"),
        ({"type": "Point", "coordinates": [1, 2]}, "it holds Point"),
        ({"type": "FeatureCollection", "features": []}, "it holds no geometry"),
        ({"not": "geojson"}, "a GeoJSON object: not recognized as being in a supported file format"),
        ((0, 1, 2, 0), "bounds 0,1,2,0 enclose nothing"),
        ((1, 0, 1, 2), "enclose nothing"),
        ((40.7, -74.1, 40.8, -273.9), "exceed 180 and 90 degrees"),
        ((float("nan"), 0, 1, 1), "exceed 180 and 90 degrees"),
        ("missing.geojson", "area of interest not found: missing.geojson"),
        (Path(__file__), "test_aoi.py: not recognized"),
        (Path(__file__).parent, "cannot read the area of interest"),
    ],
)
def test_what_is_no_area(source: Any, said: str) -> None:
    with pytest.raises(AoiError) as caught:
        make_aoi(source)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "vsimem" not in str(caught.value)


@pytest.mark.parametrize("cut", [10, 60, 120])
def test_a_broken_file(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.geojson"
    path.write_text(json.dumps(geojson(mapping(PARK)))[:-cut])
    with pytest.raises(AoiError, match="cannot read the area of interest"):
        load_aoi(path)


def test_no_crs(tmp_path: Path) -> None:
    with pytest.raises(AoiError, match="has no CRS"):
        load_aoi(write_vector(tmp_path / "area.shp", [PARK], crs=None))


def test_a_crs_of_another_world(tmp_path: Path) -> None:
    mars = (
        'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190.0,169.89444722361179]],'
        'PRIMEM["Reference_Meridian",0.0],UNIT["Degree",0.0174532925199433]]'
    )
    path = write_vector(tmp_path / "mars.gpkg", [PARK], crs=mars)
    with pytest.raises(AoiError, match="reproject it first"):
        load_aoi(path)


# Files from any program, and from strangers


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_geojson_from_any_editor(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "park.geojson"
    path.write_bytes(json.dumps(mapping(PARK)).replace(", ", ",\r\n").encode(encoding))
    assert load_aoi(path) == make_aoi(PARK)


def test_a_large_geojson_is_not_read_to_see_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "country.geojson"
    with path.open("wb") as file:
        file.write(b'{"type": "FeatureCollection"')
        file.truncate(50_000_000)
    tracemalloc.start()
    assert _in_utf8(str(path)) == str(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_an_area_by_its_uri(tmp_path: Path) -> None:
    path = tmp_path / "a park.geojson"
    path.write_text(json.dumps(mapping(PARK)))
    assert load_aoi(path.as_uri()) == load_aoi(f"file://{path}") == make_aoi(PARK)
    with zipfile.ZipFile(tmp_path / "park.zip", "w") as archive:
        archive.write(path, "park.geojson")
    assert load_aoi(f"zip://{tmp_path / 'park.zip'}!/park.geojson") == make_aoi(PARK)


def test_a_document_that_names_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "park.geojson").write_text(json.dumps(mapping(PARK)))
    document = (
        '<OGRVRTDataSource><OGRVRTLayer name="park"><SrcDataSource relativeToVRT="1">park.geojson</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.vrt", document)
    for name in ("a.vrt", "a.gpkg"):
        (tmp_path / name).write_text(document)
    for name in ("a.vrt", "a.gpkg", "a.zip"):
        with pytest.raises(AoiError, match="refers to other files or servers; give a file with polygons"):
            load_aoi(tmp_path / name)
