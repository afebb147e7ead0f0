"""Files and spellings that come from elsewhere, as a user of the command meets them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]


def test_a_vrt_of_any_name_stays_in_its_folder(
    geo2map: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text("the password is swordfish. " * 30)
    vrt = (
        '<VRTDataset rasterXSize="32" rasterYSize="20"><SRS>EPSG:32618</SRS>'
        "<GeoTransform>590000,9,0,4510000,0,-9</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="0">'
        f"{tmp_path / 'secret.txt'}</SourceFilename><PixelOffset>1</PixelOffset><LineOffset>32</LineOffset>"
        "</VRTRasterBand></VRTDataset>"
    )
    home = tmp_path / "in"
    home.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/a.tif", vrt)
    try:
        for name in ("sheet<1.vrt", "AB:direct.vrt"):
            (home / name).write_text(vrt)
    except OSError:
        pytest.skip("this file system does not take the names")
    monkeypatch.chdir(home)
    for scene in ("sheet<1.vrt", "AB:direct.vrt", home, "*.vrt", f"/vsizip/{tmp_path}/a.zip/in/a.tif"):
        for command in ("tile", "render"):
            result = geo2map(command, scene, "--out", tmp_path / "out", "--force", "--zoom", 15)
            assert result.code == 1
            assert "refers to a file outside its folder" in result.err
            assert "(--allow-outside)" in result.err
            assert not (tmp_path / "out").exists()


def test_a_scene_and_an_output_by_their_uri(geo2map: Command, write_scene: SceneWriter, tmp_path: Path) -> None:
    scene = write_scene("a scene.tif")
    result = geo2map("tile", scene.as_uri(), f"--out=file://{tmp_path}/cut.tif", "--force")
    assert result.code == 0, result.err
    assert (tmp_path / "cut.tif").is_file()


def test_a_list_that_does_not_exist(geo2map: Command, tmp_path: Path) -> None:
    result = geo2map("plan", tmp_path / "country.txt", "--out", tmp_path / "job.json")
    assert result.code == 1
    assert f"list of scenes not found: {tmp_path / 'country.txt'}; check the path" in result.err


def test_several_rasters_in_one_file(geo2map: Command, write_scene: SceneWriter, tmp_path: Path) -> None:
    scene = write_scene("two.gpkg", driver="GPKG", RASTER_TABLE="summer")
    write_scene("two.gpkg", driver="GPKG", RASTER_TABLE="winter", APPEND_SUBDATASET="YES")
    for command in (("info", scene), ("render", scene, "--out", tmp_path / "map")):
        result = geo2map(*command)
        assert (result.code, result.out) == (1, "")
        assert f"holds several rasters; name one of them: GPKG:{scene}:summer, GPKG:{scene}:winter" in result.err
