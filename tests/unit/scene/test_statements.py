"""Which of several statements places a scene, and what is told of the others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasters import noise, write_raster

from geo2map import grid
from geo2map.errors import GeoreferenceError
from geo2map.files.listing import names_in
from geo2map.scene import Scene, open_scene
from geo2map.scene.georeference import is_rotated_pole

WIDTH, HEIGHT = 320, 300
UTM = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
NEW_YORK = (-73.934, 40.734, -73.931, 40.736)
BAVARIA = (10.0, 49.99, 10.01, 50.0)
MATRICES = {"EPSG:32618": UTM, "EPSG:4326": Affine(0.01 / WIDTH, 0, 10, 0, -0.01 / HEIGHT, 50)}
Corners = Sequence[tuple[float, float]]
CORNERS = ((0, 0), (WIDTH, 0), (0, HEIGHT), (WIDTH, HEIGHT))


def points(matrix: Affine = UTM, corners: Corners = CORNERS) -> list[GroundControlPoint]:
    return [GroundControlPoint(row, column, *(matrix @ (column, row))) for column, row in corners]


def write(path: Path, gcps: Sequence[GroundControlPoint] = (), **place: Any) -> Path:
    pixels = noise(3, HEIGHT, WIDTH)
    if path.suffix == ".png":
        Image.fromarray(np.moveaxis(pixels, 0, -1)).save(path)
        return path
    return write_raster(path, pixels, **place, **({"gcps": list(gcps)} if gcps else {}))


def add_world_file(path: Path, matrix: Affine) -> None:
    x, y = matrix @ (0.5, 0.5)
    suffix = {".tif": ".tfw", ".png": ".pgw"}[path.suffix]
    path.with_suffix(suffix).write_text("\n".join(map(str, (matrix.a, matrix.d, matrix.b, matrix.e, x, y))))


def add_aux(path: Path, crs: str = "", matrix: Affine | None = None, gcps: tuple[str, Affine] | None = None) -> None:
    text = f"<SRS>{crs}</SRS>" * bool(crs)
    text += "" if matrix is None else f"<GeoTransform>{','.join(map(repr, matrix.to_gdal()))}</GeoTransform>"
    if gcps is not None:
        listed = "".join(f'<GCP Id="" Pixel="{p.col}" Line="{p.row}" X="{p.x}" Y="{p.y}"/>' for p in points(gcps[1]))
        text += f'<GCPList Projection="{gcps[0]}">{listed}</GCPList>'
    path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{text}</PAMDataset>")


def lies(scene: Scene, where: tuple[float, ...]) -> bool:
    return grid.to_lnglat(scene.bounds) == pytest.approx(where, abs=6e-4)


def told(scene: Scene) -> list[str]:
    return [note for note in scene.notes if "is georeferenced by" in note]


def points_beside_a_world_file(path: Path) -> Path:
    add_world_file(write(path), Affine(0.9, 0, 0, 0, -0.9, 0))
    add_aux(path, gcps=("EPSG:32618", UTM))
    return path


def points_beside_tags(path: Path) -> Path:
    add_aux(write(path, crs="EPSG:32618", transform=UTM), gcps=("EPSG:4326", MATRICES["EPSG:4326"]))
    return path


def sidecar_beside_points(path: Path) -> Path:
    add_aux(write(path, points(), crs="EPSG:32618"), "EPSG:4326", MATRICES["EPSG:4326"])
    return path


def world_file_beside_points(path: Path) -> Path:
    add_world_file(write(path, points(), crs="EPSG:32618"), UTM @ Affine.translation(5000, 0))
    return path


def world_file_beside_tags(path: Path) -> Path:
    add_world_file(write(path, crs="EPSG:32618", transform=UTM), UTM @ Affine.translation(20, 0))
    return path


def world_file_beside_a_sidecar(path: Path) -> Path:
    add_world_file(write(path), UTM)
    add_aux(path, "EPSG:32618", UTM @ Affine.translation(0, 100))
    return path


@pytest.mark.parametrize(
    ("make", "name", "where", "note"),
    [
        (points_beside_a_world_file, "a.png", NEW_YORK, r"by its control points, not by its geotransform, .* km away"),
        (
            points_beside_a_world_file,
            "a.tif",
            NEW_YORK,
            r"points of its .aux.xml, not by .* world file, .* km away",
        ),
        (points_beside_tags, "a.tif", BAVARIA, r"points of its .aux.xml, not by .* GeoTIFF tags, .* put it 6,\d+ km"),
        (
            sidecar_beside_points,
            "a.tif",
            BAVARIA,
            r"geotransform of its .aux.xml, not by the control points of",
        ),
        (world_file_beside_points, "a.tif", NEW_YORK, r"control points of its GeoTIFF tags, not by .* 4,490 m away"),
        (world_file_beside_tags, "a.tif", NEW_YORK, r"geotransform of its GeoTIFF tags, not by .* world file, .* 18 m"),
        (
            world_file_beside_a_sidecar,
            "a.png",
            NEW_YORK,
            r"its geotransform, not by .* its .aux.xml, .* 90.2 m",
        ),
    ],
)
def test_numbers_are_read_in_the_crs_that_belongs_to_them(
    make: Callable[[Path], Path], name: str, where: tuple[float, ...], note: str, tmp_path: Path
) -> None:
    with open_scene(make(tmp_path / name)) as scene:
        assert lies(scene, where)
        (sentence,) = told(scene)
    assert re.search(note, sentence), sentence


def agreeing_points(path: Path) -> Path:
    add_aux(write(path, crs="EPSG:32618", transform=UTM), gcps=("EPSG:32618", UTM))
    return path


def tags_beside_an_agreeing_world_file(path: Path) -> Path:
    add_world_file(write(path, crs="EPSG:32618", transform=UTM), UTM)
    return path


def a_crs_in_the_tags(path: Path) -> Path:
    add_world_file(write(path, crs="EPSG:32618"), UTM)
    return path


def a_crs_in_the_sidecar(path: Path) -> Path:
    add_world_file(write(path), UTM)
    add_aux(path, "EPSG:32618")
    return path


def a_sidecar_that_mends_the_crs(path: Path) -> Path:
    add_aux(write(path, crs="EPSG:32633", transform=UTM), "EPSG:32618")
    return path


def a_sidecar_that_mends_the_geotransform(path: Path) -> Path:
    add_aux(write(path, crs="EPSG:32618", transform=Affine(0.9, 0, 590_001, 0, -0.9, 4_510_000)), matrix=UTM)
    return path


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (agreeing_points, "a.tif"),
        (tags_beside_an_agreeing_world_file, "a.tif"),
        (a_crs_in_the_tags, "a.tif"),
        (a_crs_in_the_sidecar, "a.tif"),
        (a_crs_in_the_sidecar, "a.png"),
        (a_sidecar_that_mends_the_geotransform, "a.tif"),
    ],
)
def test_statements_that_complete_each_other_need_no_note(
    make: Callable[[Path], Path], name: str, tmp_path: Path
) -> None:
    with open_scene(make(tmp_path / name)) as scene:
        assert lies(scene, NEW_YORK)
        assert told(scene) == []


def test_a_sidecar_that_mends_the_crs_is_told(tmp_path: Path) -> None:
    path = a_sidecar_that_mends_the_crs(tmp_path / "a.tif")
    with open_scene(path) as scene:
        assert lies(scene, NEW_YORK)
        (note,) = told(scene)
    used = r"the CRS of its \.aux\.xml \(EPSG:32618\), not by that of its GeoTIFF tags \(EPSG:32633\)"
    assert re.search(rf"is georeferenced by {used}, which would put it \d,\d+ km away", note), note
    with open_scene(path, crs="EPSG:32618") as scene:
        assert told(scene) == []


def test_degrees_in_a_crs_of_metres_are_told(tmp_path: Path) -> None:
    degrees = Affine(1e-5, 0, -73.93, 0, -1e-5, 40.73)
    path = write(tmp_path / "a.png")
    add_world_file(path, degrees)
    add_aux(path, "EPSG:32618")
    with open_scene(path) as scene:
        assert any("look like degrees, but its CRS counts metres; set crs to EPSG:4326" in note for note in scene.notes)
    with open_scene(path, crs="EPSG:4326") as scene:
        assert not any("look like degrees" in note for note in scene.notes)
    with open_scene(write(tmp_path / "b.tif", crs="EPSG:32618", transform=UTM)) as scene:
        assert not any("look like degrees" in note for note in scene.notes)


def test_a_crs_that_is_asked_for_replaces_that_of_the_statement(tmp_path: Path) -> None:
    with open_scene(points_beside_a_world_file(tmp_path / "a.png"), crs="EPSG:32619") as scene:
        assert grid.to_lnglat(scene.bounds).west == pytest.approx(NEW_YORK[0] + 6, abs=1e-3)


# Control points that place nothing

LINE = ((0, 0), (100, 100), (200, 200), (300, 300))


@pytest.mark.parametrize(
    ("gcps", "fault"),
    [
        (points(corners=CORNERS[:2]), "only 2 of at least 3 control points"),
        (points(corners=LINE), "control points on one line in the picture"),
        (points(corners=CORNERS[:1] * 4), "control points that are all the same in the picture"),
        (points(Affine(1, 0, 590_000, 1, 0, 4_510_000)), "control points on one line on the map"),
        (points(Affine(0, 0, 590_000, 0, 0, 4_510_000)), "control points that are all the same on the map"),
    ],
)
def test_points_that_place_nothing(gcps: list[GroundControlPoint], fault: str, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", gcps, crs="EPSG:32618")
    with pytest.raises(GeoreferenceError, match=f"scene.tif has {fault}, which are unusable; georeference it again"):
        open_scene(path)


def test_points_that_place_nothing_leave_it_to_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", points(corners=LINE), crs="EPSG:32618")
    add_aux(path, "EPSG:32618", UTM)
    with open_scene(path) as scene:
        assert lies(scene, NEW_YORK)
        assert any("control points on one line in the picture, which are unusable: not used" in n for n in scene.notes)


def folded(bend: float) -> list[GroundControlPoint]:
    """Eastings that run back beyond the vertex of a parabola."""
    grid_of_points = [(column, row) for column in (0, 80, 160, 240, 320) for row in (0, 150, 300)]
    return [
        GroundControlPoint(row, column, 590_000 + column - bend * column**2, 4_510_000 - row)
        for column, row in grid_of_points
    ]


def test_points_that_fold_the_picture_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", folded(1 / WIDTH), crs="EPSG:32618")
    with pytest.raises(GeoreferenceError, match=r"control points of .*scene.tif are unusable: 50% .* folded over"):
        open_scene(path)


def test_points_that_fold_a_little_are_told(tmp_path: Path) -> None:
    with open_scene(write(tmp_path / "scene.tif", folded(0.52 / WIDTH), crs="EPSG:32618")) as scene:
        assert any("control points fold 6.2% of the image over" in note for note in scene.notes)
    with open_scene(write(tmp_path / "scene.tif", folded(0.3 / WIDTH), crs="EPSG:32618")) as scene:
        assert scene.notes == ()


def test_a_sidecar_costs_one_more_look_and_none_costs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def count(address: str, **options: str) -> Any:
        opened.append(options["GEOREF_SOURCES"])
        return rasterio.open(address, **options)

    monkeypatch.setattr("geo2map.scene.statements.open_raster", count)
    path = write(tmp_path / "a.tif", crs="EPSG:32618", transform=UTM)
    with open_scene(path):
        assert not opened
    add_world_file(path, UTM)
    path.with_suffix(".tfw").rename(path.with_name("a.TFW"))
    with open_scene(path):
        assert opened == ["INTERNAL", "WORLDFILE"]


def test_a_folder_is_listed_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").touch()
    assert names_in(tmp_path) == {"a.tif"}
    (tmp_path / "B.tfw").touch()
    assert names_in(tmp_path) == {"a.tif", "b.tfw"}
    os.utime(tmp_path, (1e9, 1e9))
    assert names_in(tmp_path) == {"a.tif", "b.tfw"}
    with monkeypatch.context() as patched:
        patched.setattr("os.listdir", None)
        assert names_in(tmp_path) == {"a.tif", "b.tfw"}
    (tmp_path / "c.tif").touch()
    assert "c.tif" in names_in(tmp_path)


POLE = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84 +no_defs"
NETCDF_POLE = (
    'GEOGCRS["r",BASEGEOGCRS["x",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,298.257223563]]],'
    'DERIVINGCONVERSION["Pole rotation",METHOD["Pole rotation (netCDF CF convention)"],'
    'PARAMETER["Grid north pole latitude (netCDF CF convention)",39.25,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Grid north pole longitude (netCDF CF convention)",-162,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["North pole grid longitude (netCDF CF convention)",0,ANGLEUNIT["degree",0.0174532925199433]]],'
    'CS[ellipsoidal,2],AXIS["latitude",north],AXIS["longitude",east],ANGLEUNIT["degree",0.0174532925199433]]'
)
POLE_IN_WKT1 = (
    'GEOGCS["r",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    f'UNIT["degree",0.0174532925199433],EXTENSION["PROJ4","{POLE}"]]'
)


@pytest.mark.parametrize("crs", [POLE, POLE.replace("longlat", "eqc"), NETCDF_POLE, POLE_IN_WKT1])
def test_a_rotated_pole_is_refused(crs: str, tmp_path: Path) -> None:
    plain = write(tmp_path / "a.tif", crs="EPSG:32618", transform=UTM)
    with pytest.raises(GeoreferenceError) as caught:
        open_scene(plain, crs=crs)
    assert str(caught.value) == (
        f"{plain}: its CRS is a rotated pole, which PROJ cannot transform thread-safely; "
        "warp it first, e.g. gdalwarp -t_srs EPSG:3857"
    )
    if crs == POLE_IN_WKT1:
        return  # which no GeoTIFF holds
    own = write(tmp_path / "b.tif", crs=crs, transform=Affine(8e-6, 0, -1.087, 0, -8e-6, -2.5316))
    with pytest.raises(GeoreferenceError, match=r"b\.tif: its CRS is a rotated pole"):
        open_scene(own)
    with open_scene(own, crs="EPSG:4326"):
        pass


@pytest.mark.parametrize("crs", ["EPSG:32618", "EPSG:2056", "EPSG:3031", "+proj=omerc +lat_0=40 +alpha=30"])
def test_other_crss_are_not_rotated_poles(crs: str) -> None:
    assert not is_rotated_pole(CRS.from_user_input(crs))
