"""Files that other formats than VRT name: within the folder of their document, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geo2map.errors import SceneError
from geo2map.scene import open_scene
from geo2map.scene.places import lies_within

ERS = """DatasetHeader Begin
 Version="6.0"
 DataFile="{}"
 DataSetType=ERStorage
 DataType=Raster
 ByteOrder=LSBFirst
 CoordinateSpace Begin
  Datum="WGS84"
  Projection="NUTM18"
  CoordinateType=EN
  Rotation=0:0:0.0
 CoordinateSpace End
 RasterInfo Begin
  CellType=Unsigned8BitInteger
  NrOfLines=20
  NrOfCellsPerLine=32
  NrOfBands=1
  RegistrationCoord Begin
   Eastings=590000
   Northings=4510000
  RegistrationCoord End
  CellInfo Begin
   Xdimension=9
   Ydimension=9
  CellInfo End
 RasterInfo End
DatasetHeader End
"""
EIR = "IMAGINE_RAW_FILE\nWIDTH 32\nHEIGHT 20\nNUM_LAYERS 1\nPIXEL_FILES {}\nFORMAT BSQ\nDATATYPE U8\n"
PDS = """PDS_VERSION_ID = PDS3
RECORD_TYPE = FIXED_LENGTH
RECORD_BYTES = 32
FILE_RECORDS = 20
^IMAGE = ("{}",1)
OBJECT = IMAGE
 LINES = 20
 LINE_SAMPLES = 32
 SAMPLE_TYPE = UNSIGNED_INTEGER
 SAMPLE_BITS = 8
END_OBJECT = IMAGE
END
"""
DOCUMENTS = {"a.ers": ERS, "a.blw": EIR, "a.lbl": PDS}
VRT = (
    '<VRTDataset rasterXSize="32" rasterYSize="20"><SRS>EPSG:32618</SRS><GeoTransform>590000,9,0,4510000,0,-9'
    '</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">{}'
    "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("home", "home/below", "secret"):
        (tmp_path / name).mkdir()
    for name in ("home/in.raw", "home/below/in.raw", "secret/secret.raw"):
        (tmp_path / name).write_bytes(b"M" * 640)
    return tmp_path / "home"


def read(path: Path | str, **options: bool) -> int:
    with open_scene(path, **options) as scene:
        return int(scene.sample().max())


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("through", [False, True])
def test_pixels_elsewhere_are_refused_in_any_format(
    name: str, through: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = folder.parent / "secret" / "secret.raw"
    (folder / "a.vrt").write_text(VRT.format(name))
    (folder / f"{name}.aux.xml").write_text("<PAMDataset><SRS>EPSG:32618</SRS></PAMDataset>")
    scene = folder / ("a.vrt" if through else name)
    monkeypatch.chdir(folder)
    for named in ("../secret/secret.raw", str(secret)):
        (folder / name).write_text(DOCUMENTS[name].format(named))
        for spelled in (scene, scene.name):
            with pytest.raises(SceneError) as found:
                read(spelled)
            missed = f"{folder}/{secret}" in str(found.value) or "cannot" in str(found.value)  # EIR joins the paths
            assert "refers to a file outside its folder" in str(found.value) or missed


def test_a_decoy_does_not_hide_what_a_bare_name_leads_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = folder.parent / "secret" / "secret.raw"
    decoy = folder / str(secret)[1:]
    decoy.parent.mkdir(parents=True)
    decoy.write_bytes(b"D" * 640)
    (folder / "a.blw").write_text(EIR.format(secret))
    (folder / "a.vrt").write_text(VRT.format("a.blw"))
    monkeypatch.chdir(folder)
    with pytest.raises(SceneError, match="refers to a file outside its folder"):
        read("a.vrt")


def test_pixels_beside_and_below_pass_and_what_is_allowed(folder: Path) -> None:
    (folder / "a.vrt").write_text(VRT.format("a.ers"))
    for named in ("in.raw", "below/in.raw"):
        (folder / "a.ers").write_text(ERS.format(named))
        assert read(folder / "a.ers") == read(folder / "a.vrt") == ord("M")
    (folder / "a.ers").write_text(ERS.format("../secret/secret.raw"))
    assert read(folder / "a.ers", allow_outside=True) == ord("M")


def test_links_to_a_scene_and_to_its_sidecars_pass_but_not_to_its_overviews(folder: Path) -> None:
    store = folder.parent / "secret"
    profile = {"driver": "GTiff", "width": 300, "height": 300, "count": 1, "dtype": "uint8"}
    with rasterio.open(store / "KEY.tif", "w", **profile) as dataset:
        dataset.write(np.full((1, 300, 300), 77, np.uint8))
    (elsewhere := folder.parent / "elsewhere").mkdir()
    numbers = Affine(9, 0, 590_000, 0, -9, 4_510_000)
    (elsewhere / "world").write_text("\n".join(map(str, (9, 0, 0, -9, numbers.c, numbers.f))))
    (elsewhere / "pam").write_text("<PAMDataset><SRS>EPSG:32618</SRS></PAMDataset>")
    (folder / "a.tif").symlink_to(store / "KEY.tif")
    (folder / "a.tfw").symlink_to(elsewhere / "world")
    (folder / "a.tif.aux.xml").symlink_to(elsewhere / "pam")
    assert read(folder / "a.tif") == 77
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(store / "KEY.tif", "r+") as dataset:
        dataset.build_overviews([2])
    (store / "KEY.tif.ovr").rename(elsewhere / "ovr")
    (folder / "a.tif.ovr").symlink_to(elsewhere / "ovr")
    with pytest.raises(SceneError, match=r"refers to a file outside its folder, .*a\.tif\.ovr"):
        read(folder / "a.tif")


@pytest.mark.parametrize("name", ["a.raw", "a.tfw", "a.prj", "a.ers.aux.xml"])
def test_pixels_are_not_read_through_a_link_that_is_called_a_sidecar(name: str, folder: Path) -> None:
    (folder / name).symlink_to(folder.parent / "secret" / "secret.raw")
    (folder / "a.ers").write_text(ERS.format(name))
    with pytest.raises(SceneError, match="refers to a file outside its folder"):
        read(folder / "a.ers")


def test_a_proxy_folder_for_sidecars_is_no_harm(folder: Path, tmp_path: Path) -> None:
    (folder / "a.ers").write_text(ERS.format("in.raw"))
    (tmp_path / "proxies").mkdir()
    with rasterio.Env(GDAL_PAM_PROXY_DIR=str(tmp_path / "proxies")):
        assert read(folder / "a.ers") == ord("M")


def test_a_source_spelled_by_a_driver_or_an_archive_is_refused_as_that(folder: Path) -> None:
    for named in ("NETCDF:in.nc:Band1", f"/vsizip/{folder}/a.zip/a.tif"):
        (folder / "a.vrt").write_text(VRT.format(named))
        with pytest.raises(SceneError, match="names its source by a driver or an archive, which is not inspected"):
            read(folder / "a.vrt")


def test_what_lies_within_a_folder(folder: Path) -> None:
    document, secret = str(folder / "a.ers"), str(folder.parent / "secret" / "secret.raw")
    (folder / "link.raw").symlink_to(secret)
    inside = ["in.raw", "below/in.raw", "below/../in.raw", "not:there.raw", "a.ers/x.raw"]
    for name in inside:
        assert lies_within(f"{folder}/{name}", str(folder), document), name
    assert lies_within(f"/vsizip/{document}/x.raw", str(folder), document)
    outside = [secret, f"{folder}/../secret/secret.raw", f"{folder}/link.raw", f"{folder}-too/in.raw"]
    outside += [f"GTIFF_DIR:1:{secret}", "NETCDF:missing.nc:b", "http://127.0.0.1/a.raw", f"/vsizip/{folder}/b.zip/x"]
    outside += ["/vsicurl/http://127.0.0.1/a.raw", f"/vsizip/{document}/../../secret/secret.raw", "not:here.raw"]
    for name in outside:
        assert not lies_within(name, str(folder), document), name
    archive = "/vsizip/a.zip/below"
    assert lies_within(f"{archive}/x.raw", archive, f"{archive}/a.ers")
    for name in (f"{archive}/../x.raw", secret, "/vsizip/b.zip/below/x.raw", "/vsizip/a.zip/belowtoo/x.raw"):
        assert not lies_within(name, archive, f"{archive}/a.ers"), name
