"""Scenes on a web server: only the bytes that are needed, and a plain sentence when the server fails."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from geo2map_cli.main import main
from rasterio.env import get_gdal_config
from rasterio.shutil import copy

from geo2map.errors import SceneError
from geo2map.grid import tile_range
from geo2map.grid.block import Block, BlockImage
from geo2map.scene import View, open_scenes
from geo2map.scene.gdal import reading

SIDE = 4096
ZOOM = 17
Web = Any


@pytest.fixture(scope="module")
def local_cog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 4096 x 4096 px at 0.9 m as a COG with overviews, 67 MB."""
    folder = tmp_path_factory.mktemp("cog")
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:32618"}
    place = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    with rasterio.open(folder / "plain.tif", "w", **profile, transform=place) as dataset:
        dataset.write(np.random.default_rng(0).integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8))
    copy(folder / "plain.tif", folder / "cog.tif", driver="COG", compress="none", blocksize=256)
    (folder / "plain.tif").unlink()
    return folder / "cog.tif"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users' own variables count, so here nobody waits."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")


@pytest.fixture
def cog(web: Web, local_cog: Path) -> Path:
    """It, on the server."""
    os.link(local_cog, web.root / "cog.tif")
    return web.root / "cog.tif"


def middle(scene: Any, margin: int = 0) -> Block:
    tiles = tile_range(scene.window(ZOOM))
    return Block(ZOOM, (tiles.left + tiles.right) // 2, (tiles.top + tiles.bottom) // 2, 1, 1, margin)


def read_middle(path: object, before: Callable[[], None] = lambda: None) -> BlockImage:
    with open_scenes([str(path)]) as scene, scene.at(View(ZOOM)) as source:
        before()
        return source.read(middle(scene, margin=32))


# Few bytes


def test_a_block_reads_its_own_bytes_only(web: Web, cog: Path) -> None:
    far = read_middle(web.url("cog.tif"))
    np.testing.assert_array_equal(far.pixels, read_middle(cog).pixels)
    assert web.sent < 0.1 * cog.stat().st_size
    assert len(web.requests) < 20


def test_statistics_come_from_an_overview(web: Web, cog: Path) -> None:
    with open_scenes([web.url("cog.tif")]) as scene:
        assert len(scene.sample()) > 100_000
    assert web.sent < 0.06 * cog.stat().st_size


def test_nobody_asks_for_sidecars_or_listings(web: Web, cog: Path) -> None:
    read_middle(web.url("cog.tif"))
    assert {request.path for request in web.requests} == {f"/{cog.name}"}


def test_a_file_in_an_archive_far_away(web: Web, small_scene: Path) -> None:
    with zipfile.ZipFile(web.root / "a.zip", "w") as archive:
        archive.write(small_scene, "inner/b.tif")
    far, near = (read_middle(path) for path in (f"/vsizip//vsicurl/{web.url('a.zip')}/inner/b.tif", small_scene))
    np.testing.assert_array_equal(far.pixels, near.pixels)


def test_a_bucket_without_boto3(web: Web, local_cog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL speaks S3 itself; here to a server that, like many, is not Amazon's."""
    settings = {
        "S3_ENDPOINT": web.url("").removeprefix("http://").rstrip("/"),
        "HTTPS": "NO",
        "VIRTUAL_HOSTING": "FALSE",
    }
    for name, value in {**settings, "NO_SIGN_REQUEST": "YES"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (web.root / "bucket").mkdir()
    os.link(local_cog, web.root / "bucket" / "cog.tif")
    np.testing.assert_array_equal(read_middle("s3://bucket/cog.tif").pixels, read_middle(local_cog).pixels)
    assert {request.path for request in web.requests} == {"/bucket/cog.tif"}


def test_sheets_near_and_far_are_one_scene(web: Web, cog: Path, small_scene: Path) -> None:
    with open_scenes([small_scene, web.url("cog.tif?token=secret")]) as scenes, scenes.at(View(ZOOM)) as source:
        assert scenes.name == "small"
        image = source.read(middle(scenes))
    assert image.mask.all()
    assert web.sent < 0.1 * cog.stat().st_size


# Settings


def test_what_the_user_set_wins(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    path = web.url("any.tif")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "7")
    with rasterio.Env(GDAL_HTTP_CONNECTTIMEOUT="3"), reading(path):
        assert get_gdal_config("GDAL_HTTP_MAX_RETRY") == 7
        assert get_gdal_config("GDAL_HTTP_CONNECTTIMEOUT") == 3
        assert get_gdal_config("GDAL_DISABLE_READDIR_ON_OPEN") == "EMPTY_DIR"
    with reading("near.tif"):
        assert get_gdal_config("GDAL_DISABLE_READDIR_ON_OPEN") is None


def test_a_proxy_of_the_user_is_asked(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_PROXY", web.url("").removeprefix("http://").rstrip("/"))
    with pytest.raises(SceneError):  # this server is none, but it hears the question
        read_middle("http://scenes.invalid/cog.tif")
    assert web.requests[0].path == "http://scenes.invalid/cog.tif"


# A server that fails


FAULTS = [503, 429, "drop", "break off", "hang"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_passing_fault_is_overcome(fault: int | str, number: int, web: Web, cog: Path) -> None:
    def fail_once() -> None:
        start = len(web.requests)
        web.fault = lambda count: fault if count == start + number else None

    found = read_middle(web.url("cog.tif"), before=fail_once)
    np.testing.assert_array_equal(found.pixels, read_middle(cog).pixels)
    assert found.mask.all()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_is_not_quite_awake_yet(fault: int | str, web: Web, cog: Path) -> None:
    web.fault = lambda count: fault if count == 1 else None
    assert read_middle(web.url(cog.name)).mask.all()


@pytest.mark.parametrize(
    ("fault", "says"), [(404, "404"), (403, "403"), (503, "503"), ("drop", "reset"), ("no ranges", "[Rr]ange")]
)
def test_a_scene_that_cannot_be_had(fault: int | str, says: str, web: Web, cog: Path) -> None:
    web.fault = lambda _: fault
    with pytest.raises(SceneError, match=f"cog.tif: .*{says}.*; check the address"):
        read_middle(web.url("cog.tif?token=secret"))
    assert cog.exists()


@pytest.mark.parametrize("fault", [404, 503, "drop", "break off", "hang"])
def test_a_server_that_dies_in_the_middle(fault: int | str, web: Web, cog: Path) -> None:
    def die() -> None:
        web.fault = lambda _: fault

    started = time.perf_counter()
    with pytest.raises(SceneError, match=r"cog.tif: .*") as failed:
        read_middle(web.url("cog.tif?token=secret"), before=die)
    assert "secret" not in str(failed.value)
    assert time.perf_counter() - started < 20
    assert cog.exists()


# The command


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["geo2map", *map(str, arguments), "--out", str(tmp_path / "map")])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0), *capfd.readouterr()
        return 0, *capfd.readouterr()

    return run


@pytest.mark.parametrize(("match", "most"), [("none", 0.2), ("auto", 0.35)])
def test_a_map_of_a_small_area_far_away(
    web: Web, cog: Path, render: Callable[..., Any], tmp_path: Path, match: str, most: float
) -> None:
    """Little of the scene is fetched; where the match is tried, three samples, however large the scene."""
    with open_scenes([str(cog)]) as scene:
        west, north = rasterio.warp.transform("EPSG:32618", "EPSG:4326", [591_800], [4_508_200])
    bounds = f"{west[0]},{north[0] - 0.001},{west[0] + 0.001},{north[0]}"
    command = ("tile", f"{web.url('cog.tif')}?token=secret", "--bounds", bounds, "--json", "-vv", "--match", match)
    code, out, err = render(*command)
    assert code == 0, err
    assert json.loads(out)["name"] == scene.name == "cog"
    assert web.sent < most * cog.stat().st_size
    written = b"".join(path.read_bytes() for path in (tmp_path / "map").rglob("*.json"))
    assert b"secret" not in written + out.encode() + err.encode()


def test_a_failed_render_leaves_one_sentence_and_nothing_else(
    web: Web, cog: Path, render: Callable[..., Any], tmp_path: Path
) -> None:
    """The statistics are read, and the plan's notes printed; then nothing more comes."""
    web.fault = lambda _: "drop" if web.sent > 0.06 * cog.stat().st_size else None
    before = {path.name for path in tmp_path.iterdir()}
    code, out, err = render("tile", f"{web.url('cog.tif')}?token=secret")
    assert (code, out) == (1, "")
    *notes, sentence = err.splitlines()
    assert sentence.startswith("geo2map: ")
    assert not any(note.startswith("geo2map: ") for note in notes)
    assert "cog.tif" in sentence
    assert "secret" not in err
    assert {path.name for path in tmp_path.iterdir()} == before
