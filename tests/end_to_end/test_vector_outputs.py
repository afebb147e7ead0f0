"""Features: the same from every output and every way of making it, valid, and drawn as they are stored."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyogrio.raw import read

from geo2map.api import render
from geo2map.api.converting import convert
from geo2map.api.drawing import POORER, draw
from geo2map.checking import check
from geo2map.cluster import merge_parts, plan_job, render_shard
from geo2map.engine import Engine
from geo2map.errors import Geo2MapError
from geo2map.formats.opened import open_tiles
from geo2map.formats.vectors.read import FeatureFile
from geo2map.tiles.codec import decode_tile
from geo2map.types import Tile

pytestmark = pytest.mark.slow
LAYERS = ("water", "parks", "buildings", "road_areas", "roads")
STORED = ("coverage", *LAYERS)
SCORED: dict[str, Any] = {"layers": ("classes", "evidence")}


@pytest.fixture(scope="module")
def made(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town, its features in a GeoPackage, and what was made from the same blocks; not to be changed."""
    from geo2map import make_town

    folder = tmp_path_factory.mktemp("features")
    make_town(folder / "town.tif", size=720, seed=3)
    scene = folder / "town.tif"
    render(scene, folder / "town.gpkg", engine=engine)
    render(scene, folder / "map", engine=engine, **SCORED)
    render(scene, folder / "vector", engine=engine, vector=True)
    render(scene, folder / "redrawn", engine=engine, redraw=True)
    return folder


def rows_of(path: Path) -> Counter[tuple[Any, ...]]:
    """Every feature of a GeoPackage with its layer, geometry and attributes."""
    found: Counter[tuple[Any, ...]] = Counter()
    for layer in STORED:
        _, _, shapes, columns = read(path, layer=layer)
        found.update((layer, bytes(shape), *row) for shape, *row in zip(shapes, *map(_texts, columns), strict=True))
    return found


def _texts(column: np.ndarray) -> list[str]:
    return [str(value) for value in column]


def tiles_in(path: Path) -> dict[Tile, bytes]:
    with open_tiles(path) as (store, _):
        return {tile: store.get(tile) or b"" for zoom in store.zooms for tile in store.tiles(zoom)}


def test_layers_have_features_with_attributes(made: Path) -> None:
    # QGIS puts the first layer of a file on top
    assert [name for name, _ in pyogrio.list_layers(made / "town.gpkg")] == [*reversed(STORED), "layer_styles"]
    facts, _, shapes, columns = read(made / "town.gpkg", layer="roads")
    rows = dict(zip(facts["fields"], columns, strict=True))
    assert set(rows) == {"class", "width", "length", "confidence", "bridged", "in_area"}
    assert set(rows["class"]) <= {"road", "highway"}
    assert 3 <= rows["width"].min() <= rows["width"].max() <= 50
    assert 0 <= rows["confidence"].min() <= rows["confidence"].max() <= 100
    assert len(shapes) > 50
    metadata = pyogrio.read_info(made / "town.gpkg", layer="roads")["dataset_metadata"]
    assert "not surveyed" in metadata["attribution"]
    assert metadata["licence"].startswith("MIT")
    assert json.loads(metadata["geo2map"])["geo2map"]["model"].startswith("sat2map ")


def test_lengths_and_areas_are_on_the_ellipsoid(made: Path) -> None:
    geod = pytest.importorskip("pyproj").Geod(ellps="WGS84")
    facts, _, shapes, columns = read(made / "town.gpkg", layer="roads")
    for shape, length in zip(shapely.from_wkb(shapes), columns[facts["fields"].tolist().index("length")], strict=True):
        assert length == pytest.approx(geod.geometry_length(shape), abs=0.02)
    facts, _, shapes, columns = read(made / "town.gpkg", layer="buildings")
    for shape, area in zip(shapely.from_wkb(shapes), columns[facts["fields"].tolist().index("area")], strict=True):
        assert area == pytest.approx(abs(geod.geometry_area_perimeter(shape)[0]), rel=1e-4, abs=0.02)


def test_geometries_are_valid_and_areas_of_a_class_do_not_overlap(made: Path) -> None:
    frame = FeatureFile.open(made / "town.gpkg").frame
    for layer in STORED:
        _, _, found, _ = read(made / "town.gpkg", layer=layer)
        shapes = shapely.from_wkb(found)
        assert shapely.is_valid(shapes).all()
        assert not shapely.is_empty(shapes).any()
        if layer != "roads":
            units = shapely.transform(shapes, frame.to_units)
            left, right = shapely.STRtree(units).query(units, "overlaps")
            for one, other in zip(left[left < right], right[left < right], strict=True):
                assert shapely.area(shapely.intersection(units[one], units[other])) == 0


def test_roads_meet_only_at_their_ends(made: Path) -> None:
    features = FeatureFile.open(made / "town.gpkg")
    lines = [shapely.LineString(each.line) for each in features.features() if hasattr(each, "line")]
    ends = {point for line in lines for point in (line.coords[0], line.coords[-1])}
    tree = shapely.STRtree(lines)
    for one, other in tree.query(lines, "intersects").T.tolist():
        if one < other:
            common = shapely.get_coordinates(shapely.intersection(lines[one], lines[other]))
            assert all(tuple(point) in ends for point in common.tolist())


@pytest.mark.parametrize("kind", ["map", "map.pmtiles", "map.mbtiles", "map.tif"])
def test_every_container_gives_the_same_rows(made: Path, engine: Engine, tmp_path: Path, kind: str) -> None:
    source = made / "map"
    if kind != "map":
        source = tmp_path / kind
        if kind == "map.tif":
            render(made / "town.tif", source, engine=engine, **SCORED)
        else:
            convert(made / "map", source)
    assert not convert(source, tmp_path / "again.gpkg").notes
    assert rows_of(tmp_path / "again.gpkg") == rows_of(made / "town.gpkg")


def test_a_map_without_scores_is_read_from_its_colours(made: Path, engine: Engine, tmp_path: Path) -> None:
    render(made / "town.tif", tmp_path / "plain.pmtiles", engine=engine)
    assert convert(tmp_path / "plain.pmtiles", tmp_path / "plain.gpkg").notes == (POORER,)
    assert rows_of(tmp_path / "plain.gpkg").total() > 50
    facts, _, _, columns = read(tmp_path / "plain.gpkg", layer="roads")
    assert np.isnan(columns[facts["fields"].tolist().index("confidence")].astype(float)).all()


def test_spans_and_shards_give_the_same_rows(made: Path, engine: Engine, tmp_path: Path) -> None:
    render(made / "town.tif", tmp_path / "wide.gpkg", engine=engine, block_span=8)
    assert rows_of(tmp_path / "wide.gpkg") == rows_of(made / "town.gpkg")
    order = plan_job(made / "town.tif", shard_zoom=15, vector=True)
    for shard in order.shards():
        render_shard(order, shard, tmp_path / "parts", engine=engine)
    merge_parts(tmp_path / "parts", tmp_path / "merged.gpkg")
    assert (tmp_path / "merged.gpkg").read_bytes() == (made / "town.gpkg").read_bytes()
    merge_parts(tmp_path / "parts", tmp_path / "merged.pmtiles")
    assert tiles_in(tmp_path / "merged.pmtiles") == tiles_in(made / "vector")
    merge_parts(tmp_path / "parts", tmp_path / "merged")
    assert tiles_in(tmp_path / "merged") == tiles_in(made / "vector")
    assert check(tmp_path / "merged").ok


def test_shards_of_redrawn_tiles_give_the_same_tiles(made: Path, engine: Engine, tmp_path: Path) -> None:
    order = plan_job(made / "town.tif", shard_zoom=15, redraw=True)
    for shard in order.shards():
        render_shard(order, shard, tmp_path / "parts", engine=engine)
    for name in ("merged", "merged.mbtiles"):
        merge_parts(tmp_path / "parts", tmp_path / name)
        assert tiles_in(tmp_path / name) == tiles_in(made / "redrawn")


def test_workers_of_a_cluster_give_the_same_rows(made: Path, tmp_path: Path) -> None:
    """As a command, since Dask's workers import the main module again."""
    out = tmp_path / "town.gpkg"
    command = [sys.executable, "-m", "geo2map_cli", "render", made / "town.tif", "--out", out, "--dask", "local:2"]
    done = subprocess.run([*command, "--block-span", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "INFO" not in done.stderr
    assert rows_of(out) == rows_of(made / "town.gpkg")


@pytest.mark.parametrize("suffix", [".fgb", ".geojson", ".parquet"])
def test_other_vector_files_hold_the_same_features(made: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"town{suffix}"
    convert(made / "town.gpkg", out)
    expected = Counter(row[0] for row in rows_of(made / "town.gpkg").elements() if row[0] in LAYERS)
    if suffix == ".parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table(out)
        assert json.loads(table.schema.metadata[b"geo"])["primary_column"] == "geometry"
        names, shapes = table["layer"].to_pylist(), shapely.from_wkb(table["geometry"].to_pylist())
    else:
        facts, _, found, columns = read(out)
        names, shapes = columns[facts["fields"].tolist().index("layer")].tolist(), shapely.from_wkb(found)
        assert facts["crs"] == "EPSG:4326"
    assert Counter(names) == {name: count for name, count in expected.items() if count}
    assert shapely.is_valid(shapes).all()
    length = shapely.length(shapes[[name == "roads" for name in names]] if suffix != ".parquet" else shapes).sum()
    assert length > 0


def test_another_crs_is_the_same_place(made: Path, tmp_path: Path) -> None:
    convert(made / "town.gpkg", tmp_path / "utm.gpkg", crs_out="EPSG:32618")
    assert pyogrio.read_info(tmp_path / "utm.gpkg", layer="roads")["crs"] == "EPSG:32618"
    _, _, found, _ = read(tmp_path / "utm.gpkg", layer="roads")
    facts, _, _, columns = read(made / "town.gpkg", layer="roads")
    lengths = columns[facts["fields"].tolist().index("length")]
    assert shapely.length(shapely.from_wkb(found)) == pytest.approx(lengths, rel=1e-3, abs=0.02)
    draw(tmp_path / "utm.gpkg", tmp_path / "one")
    draw(made / "town.gpkg", tmp_path / "other")
    assert tiles_in(tmp_path / "one") == tiles_in(tmp_path / "other")


def test_vector_tiles_are_the_same_whichever_way(made: Path, engine: Engine, tmp_path: Path) -> None:
    expected = tiles_in(made / "vector")
    for name in ("town.pmtiles", "town.mbtiles"):
        render(made / "town.tif", tmp_path / name, engine=engine, vector=True)
        assert tiles_in(tmp_path / name) == expected
    convert(made / "town.gpkg", tmp_path / "again")
    assert tiles_in(tmp_path / "again") == expected
    convert(tmp_path / "town.pmtiles", tmp_path / "moved.mbtiles")
    assert tiles_in(tmp_path / "moved.mbtiles") == expected


def test_vector_tiles_hold_valid_features_in_place(made: Path) -> None:
    from mapbox_vector_tile import decode

    features = FeatureFile.open(made / "town.gpkg")
    roads = shapely.union_all([shapely.LineString(each.line) for each in features.features() if hasattr(each, "line")])
    seen, zoom = Counter[str](), features.frame.zoom
    for tile, data in tiles_in(made / "vector").items():
        for name, layer in decode(data, default_options={"y_coord_down": True}).items():
            assert layer["extent"] == 4096
            for each in layer["features"]:
                shape = shapely.geometry.shape(each["geometry"])
                assert shape.is_valid, (tile, name)
                assert each["properties"]["class"]
                seen[name] += 1
                if name == "roads" and tile.z == zoom:
                    placed = shapely.transform(shape, lambda points, tile=tile: points + np.array(tile[:2]) * 4096)
                    assert shapely.hausdorff_distance(placed, shapely.intersection(placed.buffer(2), roads)) <= 3
    assert set(seen) == set(LAYERS)
    document = json.loads((made / "vector" / "tilejson.json").read_text())
    assert [layer["id"] for layer in document["vector_layers"]] == list(LAYERS)


def test_what_is_redrawn_is_what_is_drawn_from_the_file(made: Path, tmp_path: Path) -> None:
    draw(made / "town.gpkg", tmp_path / "drawn")
    assert tiles_in(tmp_path / "drawn") == tiles_in(made / "redrawn")
    convert(made / "map", tmp_path / "again", redraw=True)
    assert tiles_in(tmp_path / "again") == tiles_in(made / "redrawn")


def test_a_file_is_drawn_where_its_map_is(made: Path, engine: Engine, tmp_path: Path) -> None:
    """As a satellite's scenes lie: askew, with a corner and a hole without data."""
    scene = tmp_path / "askew.tif"
    with rasterio.open(made / "town.tif") as town:
        pixels, profile = town.read(), {**town.profile, "nodata": 0}
    row, column = np.mgrid[: pixels.shape[1], : pixels.shape[2]]
    pixels = np.maximum(pixels, 1)
    pixels[:, (row + 3 * column < 700) | (np.hypot(row - 500, column - 400) < 60)] = 0
    with rasterio.open(scene, "w", **profile) as file:
        file.write(pixels)
    render(scene, tmp_path / "askew.gpkg", engine=engine)
    render(scene, tmp_path / "redrawn", engine=engine, redraw=True)
    convert(tmp_path / "askew.gpkg", tmp_path / "again.gpkg")
    for source in ("askew.gpkg", "again.gpkg"):
        draw(tmp_path / source, tmp_path / "drawn", overwrite=True)
        assert tiles_in(tmp_path / "drawn") == tiles_in(tmp_path / "redrawn")
    covered = [decode_tile(data)[1].mean() for data in tiles_in(tmp_path / "redrawn").values()]
    assert min(covered) < 0.9


def test_any_style_at_any_zoom(made: Path, tmp_path: Path) -> None:
    (tmp_path / "night.json").write_text(
        json.dumps({"background": "#101010", "classes": {"water": "#203040", "road": {"colour": "#909090"}}})
    )
    draw(made / "town.gpkg", tmp_path / "night.pmtiles", style=tmp_path / "night.json", zoom=18)
    with open_tiles(tmp_path / "night.pmtiles") as (store, tileset):
        assert tileset.maxzoom == 18
        colours = {tuple(c) for tile in store.tiles(18) for c in _colours(store.get(tile) or b"")}
    assert {(16, 16, 16), (32, 48, 64), (144, 144, 144)} <= colours


def _colours(data: bytes) -> list[list[int]]:
    pixels, mask = decode_tile(data)
    found: list[list[int]] = np.unique(pixels[mask], axis=0).tolist()
    return found


def test_a_finished_output_is_left_as_it_is(made: Path, engine: Engine, tmp_path: Path) -> None:
    before = (made / "town.gpkg").read_bytes()
    assert render(made / "town.tif", made / "town.gpkg", engine=engine).complete
    assert (made / "town.gpkg").read_bytes() == before
    draw(made / "town.gpkg", tmp_path / "drawn")
    assert draw(made / "town.gpkg", tmp_path / "drawn").complete
    render(made / "town.tif", tmp_path / "town.gpkg", engine=engine)
    assert (tmp_path / "town.gpkg").read_bytes() == before


@pytest.mark.parametrize(
    ("source", "out", "options", "said"),
    [
        ("town.gpkg", "a.tif", {}, "holds pixels"),
        ("map", "a.gpkg", {"crs_out": "EPSG:5773"}, "holds heights only"),
        ("map", "a.gpkg", {"crs_out": "EPSG:nonsense"}, "EPSG:nonsense"),
        ("map", "a.geojson", {"crs_out": "EPSG:32618"}, "always in WGS 84"),
        ("map", "a.gpkg", {"style": "bright"}, "style bright: not known"),
        ("map", "a.gpkg", {"format": "webp"}, "no tile format|no pixels"),
        ("map", "a.pmtiles", {"style": "dark"}, "only features have one"),
        ("town.gpkg", "a.pmtiles", {"crs_out": "EPSG:32618"}, "web-mercator grid; choose a vector file"),
        ("vector", "a.gpkg", {}, "vector tiles"),
        ("town.tif", "a.gpkg", {}, "not a|which colour is which class"),
    ],
)
def test_what_makes_no_sense_is_refused(
    made: Path, tmp_path: Path, source: str, out: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(Geo2MapError, match=said):
        convert(made / source, tmp_path / out, **options)
    assert not list(tmp_path.iterdir())


def test_files_that_hold_no_such_features_are_named(made: Path, tmp_path: Path) -> None:
    pyogrio.raw.write(
        tmp_path / "other.gpkg", shapely.to_wkb([shapely.Point(0, 0)]), [], [], crs="EPSG:4326", geometry_type="Point"
    )
    refused = {
        tmp_path / "other.gpkg": "made by another program",
        made / "town.tif": "not a vector file",
        made / "vector": "tiles, which are drawn already",
    }
    for path, said in refused.items():
        with pytest.raises(Geo2MapError, match=said):
            draw(path, tmp_path / "drawn")
    (tmp_path / "strange.json").write_text('{"background": "#000000", "classes": {"forest": "#00ff00"}}')
    with pytest.raises(Geo2MapError, match="class 'forest' is not one of the map's"):
        draw(made / "town.gpkg", tmp_path / "drawn", style=tmp_path / "strange.json")
    assert not (tmp_path / "drawn").exists()
    with pytest.raises(Geo2MapError, match="it holds features, no imagery"):
        render(made / "town.gpkg", tmp_path / "again")


def test_layers_that_a_file_lacks_are_named(made: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.gpkg"
    shutil.copy(made / "town.gpkg", part)
    with closing(sqlite3.connect(part)) as db, db:
        for table in ("gpkg_contents", "gpkg_geometry_columns"):
            db.execute(f"DELETE FROM {table} WHERE table_name IN ('water', 'coverage')")
    said = (f"{part} lacks these layers, which are left out: coverage, water",)
    assert draw(part, tmp_path / "drawn").notes == said
    assert convert(part, tmp_path / "part.geojson").notes == said
    assert convert(made / "town.gpkg", tmp_path / "town.geojson").notes == ()


def test_nothing_is_left_beside_a_vector_file(made: Path, tmp_path: Path) -> None:
    """GDAL would describe a GeoPackage with metadata in a file beside it."""
    (tmp_path / "town.gpkg").write_bytes((made / "town.gpkg").read_bytes())
    draw(tmp_path / "town.gpkg", tmp_path / "drawn.pmtiles")
    assert {path.name for path in tmp_path.iterdir()} == {"town.gpkg", "drawn.pmtiles", ".drawn.pmtiles.journal"}
