"""VRTs from strangers: they may name what lies beside them, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.env import get_gdal_config

from geo2map.errors import SceneError
from geo2map.scene import open_scene
from geo2map.scene.gdal import gdal_env

Writer = Callable[..., Path]
PLACE = "EPSG:32618", Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
HEAD = (
    '<VRTDataset rasterXSize="60" rasterYSize="50"><SRS>EPSG:32618</SRS>'
    "<GeoTransform>590000,0.9,0,4510000,0,-0.9</GeoTransform>"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a raster in it, a raster below, and one outside."""
    home = tmp_path / "home"
    for path in (home / "in.tif", home / "below" / "deep.tif", tmp_path / "outside.tif"):
        path.parent.mkdir(exist_ok=True)
        profile = {"driver": "GTiff", "width": 60, "height": 50, "count": 1, "dtype": "uint8"}
        with rasterio.open(path, "w", **profile, crs=PLACE[0], transform=PLACE[1]) as dataset:
            dataset.write(np.full((1, 50, 60), 77, np.uint8))
    return home


def band(source: str, relative: int | str = 1, more: str = "") -> str:
    return (
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
        f"<SourceBand>1</SourceBand>{more}</SimpleSource></VRTRasterBand>"
    )


def write(path: Path, *parts: str) -> Path:
    path.write_text(HEAD + "".join(parts) + "</VRTDataset>", encoding="utf-8")
    return path


def read(path: Path, **options: bool) -> int:
    with open_scene(path, **options) as scene:
        return int(scene.sample().max())


def test_sources_beside_and_below_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(write(folder / "a.vrt", band("in.tif"))) == 77
    assert read(write(folder / "a.vrt", band("below/deep.tif"))) == 77
    assert read(write(folder / "a.vrt", band("below/../in.tif"))) == 77
    assert read(write(folder / "a.vrt", band(str(folder / "in.tif"), 0))) == 77
    monkeypatch.chdir(folder)
    assert read(write(folder / "a.vrt", band("in.tif", 0))) == 77
    assert read(Path("a.vrt")) == 77


def test_vrts_of_vrts_pass_as_long_as_all_of_them_stay(folder: Path) -> None:
    write(folder / "below" / "inner.vrt", band("deep.tif"))
    assert read(write(folder / "a.vrt", band("below/inner.vrt"))) == 77
    write(folder / "below" / "inner.vrt", band("../in.tif"))
    assert read(write(folder / "a.vrt", band("below/inner.vrt"))) == 77
    write(folder / "below" / "inner.vrt", band("../../outside.tif"))
    with pytest.raises(SceneError, match=r"refers to a file outside its folder, \.\./\.\./outside\.tif"):
        read(folder / "a.vrt")


@pytest.mark.parametrize(
    "parts",
    [
        band("../outside.tif"),
        band("/etc/passwd", 0),
        band("/etc/passwd"),
        band("/vsicurl/http://127.0.0.1:9/a.tif", 0),
        band("http://127.0.0.1:9/a.tif", 0),
        band("/vsizip/in.zip/a.tif", 0),
        band("NETCDF:in.nc:band", 0),
        band(
            "&lt;VRTDataset&gt;&lt;a&gt;&lt;SourceFilename&gt;/etc/passwd&lt;/SourceFilename&gt;&lt;/a&gt;&lt;/VRTDataset&gt;"
        ),
        band("in.tif").replace("SourceFilename", "sOURCEfILENAME").replace("in.tif", "../outside.tif"),
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource SourceFilename="/etc/passwd"/></VRTRasterBand>',
        band("in.tif", more='<OpenOptions><OOI key="AUX">../outside.tif</OOI></OpenOptions>'),
        band("in.tif") + '<Metadata domain="GEOLOCATION"><MDI key="X_DATASET">/etc/passwd</MDI></Metadata>',
        "<GDALWarpOptions><SourceDataset>/etc/passwd</SourceDataset></GDALWarpOptions>",
        band("in.tif") + '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename relativeToVRT="1">'
        "../outside.tif</SourceFilename></SimpleSource></VRTRasterBand></MaskBand>",
    ],
)
def test_sources_elsewhere_are_refused_unless_allowed(parts: str, folder: Path) -> None:
    path = write(folder / "a.vrt", parts)
    with pytest.raises(
        SceneError,
        match=r"(refers to a file outside its folder, |names its source by a driver).*; if you trust it, set allow_",
    ) as found:
        read(path)
    assert found.value.option == "allow_outside"
    assert "\n" not in str(found.value)


def test_what_is_allowed_is_opened(folder: Path) -> None:
    assert read(write(folder / "a.vrt", band("../outside.tif")), allow_outside=True) == 77


def test_neither_the_suffix_nor_a_link_nor_a_sidecar_hides_a_vrt(folder: Path) -> None:
    outside = write(folder / "a.vrt", band("../outside.tif")).read_text(encoding="utf-8")
    for name in ("a.tif", "a.jp2"):
        (folder / name).write_text(f'<?xml version="1.0" encoding="latin-1"?>\n{outside}', encoding="utf-8")
        with pytest.raises(SceneError, match="refers to a file outside"):
            read(folder / name)
    for suffix in (".ovr", ".msk"):
        shutil.copy(folder / "a.vrt", folder / f"in.tif{suffix}")
        with pytest.raises(SceneError, match="refers to a file outside"):
            read(folder / "in.tif")
        (folder / f"in.tif{suffix}").unlink()
    with pytest.raises(SceneError, match="refers to a file outside"):
        read(f"vrt://{folder / 'a.vrt'}?bands=1")  # type: ignore[arg-type]
    try:
        (folder / "link.tif").symlink_to(folder.parent / "outside.tif")
    except OSError:
        pytest.skip("this system makes no links")
    with pytest.raises(SceneError, match="refers to a file outside"):
        read(write(folder / "a.vrt", band("link.tif")))


def test_python_is_never_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "sprung"
    code = f"def f(*a, **k):\n    open({str(trap)!r}, 'w')\n"
    derived = (
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionType>f</PixelFunctionType>"
        f"<PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode><![CDATA[{code}]]></PixelFunctionCode>"
        '<SimpleSource><SourceFilename relativeToVRT="1">in.tif</SourceFilename></SimpleSource></VRTRasterBand>'
    )
    path = write(folder / "a.vrt", derived)
    with pytest.raises(SceneError, match="contains Python code, which is never run"):
        read(path)
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    with rasterio.Env(GDAL_VRT_ENABLE_PYTHON="YES"), gdal_env(path):
        assert get_gdal_config("GDAL_VRT_ENABLE_PYTHON", normalize=False) == "NO"
    with rasterio.Env(GDAL_VRT_ENABLE_PYTHON="YES"), pytest.raises(SceneError):
        read(path, allow_outside=True)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (HEAD, "not a well-formed VRT"),
        (f'<!DOCTYPE a [<!ENTITY b "c">]>{HEAD}</VRTDataset>', "declarations of its own"),
        (
            HEAD + band("in.tif").replace("in.tif", "../outside.tif<relativeToVRT>1</relativeToVRT>") + "</VRTDataset>",
            "unusual",
        ),
        (
            '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>',
            "from elsewhere",
        ),
    ],
)
def test_documents_that_are_not_followed(text: str, phrase: str, folder: Path) -> None:
    (folder / "a.vrt").write_text(text, encoding="utf-8")
    with pytest.raises(SceneError, match=phrase):
        read(folder / "a.vrt")


def test_chains_and_rings_of_vrts_end(folder: Path) -> None:
    write(folder / "0.vrt", band("in.tif"))
    for number in range(1, 11):
        write(folder / f"{number}.vrt", *[band(f"{number - 1}.vrt")] * 50)
    with pytest.raises(SceneError, match="is a chain of more than 8 VRTs"):
        read(folder / "10.vrt")
    write(folder / "0.vrt", band("8.vrt"))
    with pytest.raises(SceneError):
        read(folder / "8.vrt")


def test_a_vrt_out_of_an_archive_stays_there(folder: Path) -> None:
    write(folder / "good.vrt", band("in.tif"))
    write(folder / "bad.vrt", band(str(folder.parent / "outside.tif"), 0))
    write(folder / "up.vrt", band("../../outside.tif"))
    archive = shutil.make_archive(str(folder.parent / "scenes"), "zip", folder)
    assert read(f"/vsizip/{archive}/good.vrt") == 77  # type: ignore[arg-type]
    for name in ("bad", "up"):
        with pytest.raises(SceneError, match="refers to a file outside its folder"):
            read(f"/vsizip/{archive}/{name}.vrt")  # type: ignore[arg-type]
    assert read(f"/vsizip/{archive}/bad.vrt", allow_outside=True) == 77  # type: ignore[arg-type]
