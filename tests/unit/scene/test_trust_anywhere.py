"""VRTs count by what they are, not by how they are named or reached: no name, depth, archive or server hides one."""

from __future__ import annotations

import http.server
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geo2map.errors import SceneError, TileSetError
from geo2map.scene import find_scenes, open_scene, open_scenes

SECRET = "the password is swordfish. " * 100
REFUSED = (
    "(refers to a file outside its folder|names its source by a driver|reads its pixels from elsewhere|list of rasters)"
    ".*; if you trust it, set allow_"
)


def raw(source: object) -> str:
    """A VRT whose pixels are the bare bytes of any file."""
    return (
        '<VRTDataset rasterXSize="32" rasterYSize="20"><SRS>EPSG:32618</SRS>'
        "<GeoTransform>590000,9,0,4510000,0,-9</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename><ImageOffset>0</ImageOffset>'
        "<PixelOffset>1</PixelOffset><LineOffset>32</LineOffset></VRTRasterBand></VRTDataset>"
    )


def simple(source: object, relative: int = 1) -> str:
    return (
        '<VRTDataset rasterXSize="32" rasterYSize="20"><SRS>EPSG:32618</SRS>'
        "<GeoTransform>590000,9,0,4510000,0,-9</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="{relative}">{source}'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def raster(path: Path, **tags: str) -> Path:
    place = {"crs": "EPSG:32618", "transform": Affine(9, 0, 590_000, 0, -9, 4_510_000)}
    with rasterio.open(path, "w", driver="GTiff", width=32, height=20, count=1, dtype="uint8", **place) as dataset:
        dataset.write(np.full((1, 20, 32), 77, np.uint8))
        if tags:
            dataset.update_tags(ns="OVERVIEWS", **tags)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret" / "secret.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "in"
    home.mkdir()
    raster(home / "in.tif")
    return home


def read(path: object, **options: bool) -> int:
    with open_scene(str(path), **options) as scene:
        return int(scene.sample().max())


def refused(path: object) -> None:
    with pytest.raises(SceneError, match=REFUSED) as found:
        read(path)
    assert found.value.option == "allow_outside"


@pytest.mark.parametrize(
    "name", ["sheet<1.vrt", "AB:direct.vrt", "GTIFF_DIR:1", "netcdf:a.vrt", "a b.vrt", "a%20b.vrt", " a.vrt", "x'.vrt"]
)
def test_no_name_hides_a_vrt(name: str, folder: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        (folder / name).write_text(raw(secret))
    except OSError:
        pytest.skip("this file system does not take the name")
    monkeypatch.chdir(folder)
    for spelled in (name, f"./{name}", folder / name):
        refused(spelled)
    (folder / name).write_text(simple("in.tif"))
    assert read(name) == read(f"./{name}") == 77


def test_neither_a_folder_nor_a_pattern_nor_a_list_hides_a_vrt(folder: Path, secret: Path) -> None:
    (folder / "AB:direct.vrt").write_text(raw(secret))
    (folder / "list.txt").write_text("in.tif\nAB:direct.vrt\n")
    item = {"type": "Feature", "id": "a", "assets": {"visual": {"href": "AB:direct.vrt", "roles": ["visual"]}}}
    (folder / "item.json").write_text(json.dumps(item))
    for asked in (folder, f"{folder}/*.vrt", folder / "list.txt", folder / "item.json"):
        assert str(folder / "AB:direct.vrt") in find_scenes(str(asked))
        with pytest.raises(SceneError, match=REFUSED), open_scenes(str(asked)) as scenes:
            scenes.sample()


def test_a_document_in_place_of_a_path_may_name_nothing_outside_the_working_directory(secret: Path) -> None:
    from geo2map.scene.reader import Scene

    for document in (raw(secret), f"/somewhere/{raw(secret)}"):
        with pytest.raises(SceneError, match=REFUSED):
            Scene(document)


@pytest.mark.parametrize("spelled", ["vrt://{}?bands=1", "DERIVED_SUBDATASET:AMPLITUDE:{}", "GTIFF_DIR:1:{}"])
def test_what_gdal_makes_of_a_file_is_the_file(spelled: str, folder: Path, secret: Path) -> None:
    (folder / "a.tif").write_text(raw(secret))
    refused(spelled.format(folder / "a.tif"))
    (folder / "a.tif").write_text(simple("in.tif"))
    assert read(f"vrt://{folder / 'a.tif'}?bands=1") == read(f"vrt://{folder / 'in.tif'}?bands=1") == 77
    assert read(f"GTIFF_DIR:1:{folder / 'in.tif'}") == 77


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_vrt_in_an_archive_is_followed_to_the_end(kind: str, folder: Path, secret: Path, tmp_path: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "inner.tif").write_text(raw(secret))
    (folder / "outer.vrt").write_text(simple("below/inner.tif"))
    (folder / "good.vrt").write_text(simple("below/good.dat"))
    (folder / "below" / "good.dat").write_text(simple("../in.tif"))
    (folder / "up.vrt").write_text(simple("../secret/secret.txt"))
    (folder / "prefix.vrt").write_text(simple(f"GTIFF_DIR:1:{folder / 'in.tif'}"))
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for file in sorted(folder.rglob("*")):
                zipped.write(file, file.relative_to(folder))
    else:
        with tarfile.open(archive, f"w:{kind.partition('.')[2]}") as tarred:
            tarred.add(folder, ".")
    home = f"/vsi{kind.partition('.')[0]}/{archive}"
    assert read(f"{home}/good.vrt") == 77
    for name in ("outer", "up", "prefix"):
        refused(f"{home}/{name}.vrt")


def test_an_archive_of_one_file_names_nothing(folder: Path, secret: Path, tmp_path: Path) -> None:
    for text in (raw(secret), simple("in/in.tif"), simple(str(folder / "in.tif"), 0)):
        with zipfile.ZipFile(tmp_path / "one.zip", "w") as zipped:
            zipped.writestr("one.vrt", text)
        refused(f"/vsizip/{tmp_path / 'one.zip'}")
    import gzip

    (tmp_path / "one.vrt.gz").write_bytes(gzip.compress(raw(secret).encode()))
    refused(f"/vsigzip/{tmp_path / 'one.vrt.gz'}")
    (tmp_path / "part").write_text("x" * 10 + raw(secret))
    refused(f"/vsisubfile/10,{tmp_path / 'part'}")


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_port}"
        finally:
            serving.shutdown()
            thread.join()


def test_a_vrt_at_a_server_is_followed_to_the_end(folder: Path, secret: Path, server: str) -> None:
    (folder / "bad.vrt").write_text(raw(secret))
    (folder / "inner.tif").write_text(raw(secret))
    (folder / "outer.vrt").write_text(simple("inner.tif"))
    (folder / "up.vrt").write_text(simple("../in/in.tif"))
    (folder / "good.vrt").write_text(simple("good.dat"))
    (folder / "good.dat").write_text(simple("in.tif"))
    assert read(f"{server}/good.vrt") == 77
    for name in ("bad", "outer", "up"):
        refused(f"{server}/{name}.vrt")
        refused(f"{server}/{name}.vrt?key=a/b")  # GDAL would look for relative paths behind the query
        refused(f"/vsicurl?url={server}/{name}.vrt")
        refused(f"vrt://{server}/{name}.vrt?bands=1")


def test_overviews_elsewhere_are_refused_however_they_are_named(folder: Path, secret: Path) -> None:
    raster(folder / "a.tif", OVERVIEW_FILE=str(secret))
    refused(folder / "a.tif")
    (folder / "a.vrt").write_text(simple("a.tif"))
    refused(folder / "a.vrt")
    raster(folder / "c.tif", OVERVIEW_FILE=raw(secret))
    refused(folder / "c.tif")
    raster(folder / "b.tif")
    pam = f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata></PAMDataset>'
    (folder / "b.tif.aux.xml").write_text(pam)
    refused(folder / "b.tif")
    (folder / "b.tif.aux.xml").write_text('<PAMDataset><Metadata><MDI key="A">/etc</MDI></Metadata></PAMDataset>')
    (folder / "b.vrt").write_text(simple("b.tif"))
    assert read(folder / "b.tif") == read(folder / "b.vrt") == 77
    for name in ("b.tif.OVR", "b.tif.Msk", "b.tif.aux.xml"):
        (folder / name).write_text(raw(secret) if "aux" not in name else pam)
        refused(folder / "b.tif")
        refused(folder / "b.vrt")
        (folder / name).unlink()


@pytest.mark.parametrize(
    "text",
    [
        "<GDAL_WMS><Service name='TMS'/></GDAL_WMS>",
        "<GDAL_WMTS></GDAL_WMTS>",
        "<GDALTileIndexDataset><IndexDataset>x.gpkg</IndexDataset></GDALTileIndexDataset>",
        '{"type": "Feature", "stac_version": "1.0.0", "stac_extensions": ["tiled-assets"]}',
        "<MRF_META><CachedSource><Source>/etc/passwd</Source></CachedSource></MRF_META>",
        "<MRF_META><Raster><DataFile>../secret/secret.txt</DataFile></Raster></MRF_META>",
    ],
)
def test_documents_of_other_drivers_that_lead_elsewhere(text: str, folder: Path) -> None:
    (folder / "a.tif").write_text(text)
    refused(folder / "a.tif")
    (folder / "b.vrt").write_text(simple("a.tif"))
    refused(folder / "b.vrt")


def test_a_list_of_rasters_in_a_geopackage_is_refused(folder: Path) -> None:
    (folder / "a.gti.gpkg").write_bytes(b"SQLite format 3\0")
    refused(folder / "a.gti.gpkg")


def test_how_a_source_counts_is_read_as_gdal_reads_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDAL takes `yes` for 0, so the path would count from the working directory."""
    monkeypatch.chdir(tmp_path)
    (folder / "a.vrt").write_text(simple("in.tif").replace('relativeToVRT="1"', 'relativeToVRT="yes"'))
    with pytest.raises(SceneError, match="unusual way"):
        read(folder / "a.vrt")


def test_names_in_another_encoding_are_not_guessed(folder: Path) -> None:
    (folder / "a.vrt").write_bytes(simple("in.tif").encode().replace(b"in.tif", b"\xe8.tif"))
    with pytest.raises(SceneError, match="another encoding than UTF-8"):
        read(folder / "a.vrt")


def test_a_finished_map_is_a_geotiff_and_nothing_else(folder: Path, secret: Path) -> None:
    """`check`, `convert` and `view` open what is called a map; its bytes become tiles."""
    from geo2map.checking import check
    from geo2map.formats.geotiff.read import GeotiffStore

    vrt = folder / "map.tif"
    vrt.write_text(raw(secret))
    overviews = raster(folder / "a.tif", OVERVIEW_FILE=raw(secret))
    raster(folder / "b.tif")
    (folder / "b.tif.ovr").write_text(raw(secret))
    malformed = raster(folder / "c.tif")
    (folder / "c.tif.aux.xml").write_text('<PAMDataset><Metadata><MDI key="OVERVIEW_FILE">a</Metadata>')
    elsewhere = "outside its folder, .*; it is not opened as a map"
    faults = {vrt: elsewhere, overviews: elsewhere, folder / "b.tif": elsewhere, malformed: "well-formed"}
    for path, fault in faults.items():
        for look in (check, GeotiffStore):
            with pytest.raises(TileSetError, match=fault) as refused:
                look(path)
            assert "allow_outside" not in str(refused.value)
    vrt.write_text(simple("in.tif"))
    with pytest.raises(TileSetError, match="cannot be read"):
        GeotiffStore(vrt)
