"""What is said of files that cannot be opened: by its cause, and damage only where nothing better is known."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from geo2map_cli.main import _local
from geo2map_cli.surroundings import explain

from geo2map.errors import SceneError, SetupError
from geo2map.files.address import gdal_path, is_file_path, plain_path, scene_name
from geo2map.grid.mercator import web_mercator
from geo2map.scene import find_scenes, open_scene

PLACE = {"crs": "EPSG:32618", "transform": Affine(9, 0, 590_000, 0, -9, 4_510_000)}


def raster(path: Path, driver: str = "GTiff", **options: object) -> Path:
    shape = {"width": 32, "height": 20, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver=driver, **shape, **PLACE, **options) as dataset:
        dataset.write(np.full((1, 20, 32), 77, np.uint8))
    return path


def complaint(path: object) -> str:
    with pytest.raises(SceneError) as found:
        open_scene(str(path)).sample()
    text = str(found.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tif", b"", "it is empty"),
        ("a.tif", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
        ("a.tif", b"/annex/objects/SHA256E-s1--1.tif\n", "git-annex pointer"),
        ("a.tif", b"\n<!DOCTYPE html><html>404</html>", "it is a web page"),
        ("a.tif", b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>", "a server's error message"),
        ("a.tif", b"\x1f\x8b\x08\0\0\0\0\0", "compressed by gzip; unpack it, or give /vsigzip/"),
        ("a.rar", b"Rar!\x1a\x07\x00", "it is an archive; unpack it"),
        ("a.prj", b"GEOGCS[]", "it describes a raster and is not one itself"),
        ("a.shp", b"\0\0\x27\x0a" + bytes(96), "it is a vector file"),
        ("a.xyz123", b"nothing in particular", "of a kind that GDAL cannot read here"),
        ("a.tif", b"nothing in particular", "it may be damaged or truncated"),
        ("a.tif", b"II*\0\x08\0\0\0", "it may be damaged or truncated"),
    ],
)
def test_what_a_file_is_instead(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    text = complaint(tmp_path / name)
    assert text.startswith("cannot open ")
    assert says in text
    assert ("damaged or truncated" in text) == ("damaged or truncated" in says)


def test_archives_name_the_rasters_in_them(tmp_path: Path) -> None:
    raster(tmp_path / "s.tif")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "s.tif", "in/s.tif")
        archive.writestr("__MACOSX/in/._s.tif", "")
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes())
    assert f"name a raster in it: /vsizip/{tmp_path}/a.zip/in/s.tif" in complaint(tmp_path / "a.zip")
    with open_scene(f"/vsizip/{tmp_path}/a.zip/in/s.tif") as scene:
        assert scene.sample().max() == 77
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "s.tif", "./s.tif")
    assert f"/vsitar/{tmp_path}/a.tar/s.tif" in complaint(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "s.tif", "./s.tif")
    assert f"/vsitar/{tmp_path}/a.tar.gz/s.tif" in complaint(tmp_path / "a.tar.gz")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    assert "an archive without a raster in it" in complaint(tmp_path / "c.zip")
    assert "the name within it" in complaint(f"/vsizip/{tmp_path}/a.zip/nothing.tif")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "d.zip").write_bytes(data.replace(b"PK\x01\x02", b"PK\x07\x07"))
    (tmp_path / "e.tar").write_bytes((tmp_path / "a.tar").read_bytes().replace(b"s.tif", b"x.tif", 1))
    for name in ("d.zip", "e.tar"):
        assert complaint(tmp_path / name) == f"cannot open {tmp_path / name}: it is a damaged archive; get it again"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SceneError, match="not a regular file but a device, a pipe or a socket; give a raster"):
        open_scene(tmp_path / "pipe.tif")


def test_headers_and_sidecars_name_their_raster(tmp_path: Path) -> None:
    raster(tmp_path / "scene.dat", "ENVI")
    raster(tmp_path / "sheet.tif")
    assert f"it describes scene.dat; name {tmp_path / 'scene.dat'}" in complaint(tmp_path / "scene.hdr")
    for name in ("sheet.tfw", "sheet.prj", "sheet.tif.aux.xml"):
        (tmp_path / name).write_text("1\n")
        assert f"it describes sheet.tif; name {tmp_path / 'sheet.tif'}" in complaint(tmp_path / name)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"sc\xe8ne.tif")
    try:
        (tmp_path / name).write_bytes(raster(tmp_path / "a.tif").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert "its name is not UTF-8, which GDAL needs; rename it" in complaint(tmp_path / name)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    assert "permission denied; check its permissions" in complaint(tmp_path / "a.tif")


def test_too_many_open_files(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    raster(tmp_path / "a.tif")
    web_mercator()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    try:
        with (tmp_path / "a.tif").open() as next_free:
            resource.setrlimit(resource.RLIMIT_NOFILE, (next_free.fileno() + 8, limits[1]))
        with suppress(OSError):
            while True:
                held.append((tmp_path / "a.tif").open("rb"))
        assert "too many files are open at once" in complaint(tmp_path / "a.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for file in held:
            file.close()


@pytest.mark.slow
def test_a_variable_that_disables_drivers(tmp_path: Path) -> None:
    code = f"from geo2map.scene import open_scene; open_scene({str(raster(tmp_path / 'a.tif'))!r}).sample()"
    for driver in ("GTiff", "VRT"):
        skipping = os.environ | {"GDAL_SKIP": driver}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=skipping)
        assert f"GDAL_SKIP disables drivers ({driver}); unset it" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["PROJ_DATA", "PROJ_LIB"])
def test_proj_of_another_program(variable: str, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    with sqlite3.connect(older / "proj.db") as database:
        database.execute("CREATE TABLE metadata (key TEXT, value TEXT)")
        for key, value in (("MAJOR", "1"), ("MINOR", "2")):
            database.execute("INSERT INTO metadata VALUES (?, ?)", (f"DATABASE.LAYOUT.VERSION.{key}", value))
    scene = raster(tmp_path / "a.tif")
    for arguments in (["info", str(scene)], ["render", str(scene), "--out", "x/", "--bounds", "1,2,3,4"]):
        command = [sys.executable, "-m", "geo2map_cli", *arguments]
        cleared = {name: value for name, value in os.environ.items() if name not in ("PROJ_DATA", "PROJ_LIB")}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=cleared | {variable: str(older)}
        )
        assert done.returncode == 1
        assert done.stderr == (
            f"geo2map: {variable} leads to another program's PROJ data ({older}); unset {variable} and run again\n"
        )


def test_errors_that_the_surroundings_cause() -> None:
    assert "too many files are open" in str(explain(OSError(24, "Too many open files")))
    disk = sqlite3.OperationalError("disk I/O error")
    disk.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC  # extended: the primary code is its last byte
    assert "SQLite cannot go on (disk I/O error)" in str(explain(disk))
    assert isinstance(explain(disk), SetupError)
    assert explain(ValueError("anything else")) is None
    assert explain(rasterio.errors.CRSError("another CRS")) is None
    with (
        pytest.raises(sqlite3.OperationalError, match="no such table") as caught,
        sqlite3.connect(":memory:") as database,
    ):
        database.execute("SELECT * FROM sheets")
    assert explain(caught.value) is None


def test_several_rasters_in_one_file(tmp_path: Path) -> None:
    raster(tmp_path / "two.gpkg", "GPKG", RASTER_TABLE="summer")
    raster(tmp_path / "two.gpkg", "GPKG", RASTER_TABLE="winter", APPEND_SUBDATASET="YES")
    names = [f"GPKG:{tmp_path}/two.gpkg:{name}" for name in ("summer", "winter")]
    assert complaint(tmp_path / "two.gpkg").endswith(f"holds several rasters; name one of them: {', '.join(names)}")
    for name in (*names, names[0].replace("GPKG", "gpkg"), names[0].replace("GPKG", "Gpkg")):
        with open_scene(name) as scene:
            assert scene.sample().max() == 77
    assert "GDAL takes what is before the colon for a driver's name" in complaint("NETCDF:nothing.nc:Band1")


def test_files_by_their_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = raster(tmp_path / "a b#1.tif")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(scene, "in/s.tif")
    monkeypatch.chdir(tmp_path)
    for spelled in (
        scene.as_uri(),
        f"file://{scene}",
        f"file:{scene}",
        f"FILE://localhost{scene}",
        f"zip://{tmp_path}/a.zip!/in/s.tif",
        "zip://a.zip!in/s.tif",
        "zip+file://a.zip!in/s.tif",
    ):
        (found,) = find_scenes(spelled)
        with open_scene(found) as one, open_scene(spelled) as same:
            assert one.sample().max() == 77
            assert one.name == same.name
    with pytest.raises(SceneError, match=r"scene not found: /nothing\.tif"):
        open_scene("file:///nothing.tif")


def test_spellings_of_other_programs() -> None:
    assert plain_path("zip+https://host/a.zip!/b.tif") == "/vsizip//vsicurl/https://host/a.zip/b.tif"
    assert plain_path("tar://a.tar!b.tif") == "/vsitar/a.tar/b.tif"
    assert plain_path("gzip+s3://bucket/a.tif.gz") == "/vsigzip//vsis3/bucket/a.tif.gz"
    for same in ("s3://bucket/a.tif", "a.tif", "https://host/a.tif?b=file:///c", "C:\\a.tif", "file.tif"):
        assert plain_path(same) == same
    assert _local("--out=file:///a/b%20c") == "--out=/a/b c"
    assert _local("--note=see file:///a") == "--note=see file:///a"


def test_a_file_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_file_path("AB:sheet.tif")
    try:
        raster(tmp_path / "AB:sheet.tif")
    except (OSError, rasterio.errors.RasterioError):
        pytest.skip("this file system does not take the name")
    assert is_file_path("AB:sheet.tif")
    assert gdal_path("AB:sheet.tif") == str(tmp_path / "AB:sheet.tif")
    assert scene_name("AB:sheet.tif") == "AB:sheet"
    with open_scene("AB:sheet.tif") as scene:
        assert scene.sample().max() == 77


def test_a_name_that_the_system_refuses() -> None:
    long = "a" * 300
    for name in (f"{long}.tif", f"{long}/a.tif"):
        with pytest.raises(SceneError, match="scene not found"):
            open_scene(name)
        assert find_scenes(name) == [name]
    with pytest.raises(SceneError, match="cannot read the list of scenes"):
        find_scenes(f"{long}.txt")
