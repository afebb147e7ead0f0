"""What is told of datums that PROJ cannot transform exactly, and of which there is nothing to tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from geo2map.scene import datum, open_scene

PLACES = {"EPSG:4214": (116.4, 39.9), "EPSG:4267": (-73.93, 40.73)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROJ_NETWORK", raising=False)
    datum._accuracy.cache_clear()


def notes(crs: str, longitude: float, latitude: float, pixel: float = 0.9) -> str:
    return " ".join(datum.datum_notes(CRS.from_user_input(crs), longitude, latitude, pixel))


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude"),
    [
        ("EPSG:4214", 116.4, 39.9),  # Beijing 1954
        ("EPSG:4610", 116.4, 39.9),  # Xian 1980
        ("EPSG:3828", 121.0, 24.0),  # Taiwan 1967
        ("+proj=utm +zone=50 +ellps=krass +units=m +no_defs", 117.0, 39.0),
    ],
)
def test_a_datum_that_is_not_shifted_is_told(crs: str, longitude: float, latitude: float) -> None:
    said = notes(crs, longitude, latitude, pixel=100)
    assert "PROJ has no transformation from the datum" in said
    assert "some hundred metres off" in said


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude", "said"),
    [
        ("EPSG:4267", -73.93, 40.73, "the datum North American Datum 1927 to WGS 84 with an accuracy of 10 m"),
        ("EPSG:26718", -73.93, 40.73, "set PROJ_NETWORK=ON for the grid that PROJ lacks (1.5 m)"),
        ("EPSG:31467", 9.0, 50.0, "accuracy of 3 m here: the map may be that far off; set PROJ_NETWORK=ON"),
        ("EPSG:28407", 37.0, 55.0, "accuracy of 3 m here"),  # its region crosses the antimeridian
    ],
)
def test_an_inexact_transformation_is_told(crs: str, longitude: float, latitude: float, said: str) -> None:
    assert said in notes(crs, longitude, latitude)
    assert notes(crs, longitude, latitude, pixel=30) == ""


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude"),
    [
        ("EPSG:4326", 0, 0),
        ("EPSG:3857", 0, 0),
        ("EPSG:32618", -75, 40),
        ("EPSG:25832", 10, 50),  # ETRS89
        ("EPSG:26918", -75, 40),  # NAD83
        ("EPSG:6347", -75, 40),  # NAD83(2011)
        ("ESRI:102003", -90, 40),
        ("EPSG:2056", 8, 47),  # LV95
        ("EPSG:21781", 8, 47),
        ("EPSG:7844", 145, -37),  # GDA2020
        ("EPSG:6668", 139, 36),  # JGD2011
        ("EPSG:4490", 116, 40),  # CGCS2000
        ("EPSG:31983", -46, -23),  # SIRGAS 2000
        ("EPSG:27700", -1, 52),
        ("EPSG:2154", 3, 46),
        ("EPSG:28992", 5, 52),
        ("EPSG:2193", 174, -41),
        ("EPSG:5514", 15, 50),
        ("EPSG:3785", 0, 0),
        ("+proj=sinu +R=6371007.181 +units=m +no_defs", 0, 10),  # MODIS
        ("+proj=utm +zone=50 +ellps=krass +towgs84=15.8,-154.4,-82.3,0,0,0,0 +units=m +no_defs", 117, 39),
        ("EPSG:9518", 10, 50),  # with heights
    ],
)
def test_ordinary_crss_raise_no_alarm(crs: str, longitude: float, latitude: float) -> None:
    assert notes(crs, longitude, latitude) == ""


def test_a_grid_that_is_installed_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "us_noaa_conus.tif").touch()
    folders = datum._data_folders()
    monkeypatch.setattr(datum, "_data_folders", lambda: [tmp_path, *folders])
    assert "accuracy of 5 m" in notes("EPSG:4267", -100, 40)


def test_a_grid_comes_over_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_NETWORK", "ON")
    assert notes("EPSG:4267", -73.93, 40.73) == ""


@pytest.mark.parametrize("content", [None, b"no database"])
def test_without_a_database_the_missing_shift_is_still_seen(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "proj.db").write_bytes(content)
    monkeypatch.setattr(datum, "_data_folders", lambda: [tmp_path])
    assert notes("EPSG:4267", -73.93, 40.73) == ""
    assert "PROJ has no transformation" in notes("EPSG:4214", 116.4, 39.9)


@pytest.mark.parametrize(("crs", "said"), [("EPSG:4214", "Beijing 1954"), ("EPSG:4267", "PROJ_NETWORK=ON")])
def test_a_scene_has_the_note(crs: str, said: str, tmp_path: Path) -> None:
    west, north = PLACES[crs]
    profile = {"driver": "GTiff", "count": 1, "width": 90, "height": 80, "dtype": "uint8", "crs": crs}
    with rasterio.open(
        tmp_path / "scene.tif", "w", **profile, transform=Affine(1.05e-5, 0, west, 0, -8e-6, north)
    ) as dataset:
        dataset.write(np.full((1, 80, 90), 7, np.uint8))
    with open_scene(tmp_path / "scene.tif") as scene:
        assert any(said in note and note.startswith("warning: PROJ") for note in scene.notes)
