"""Containers: which one a name means, and that a new one is a function and a line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from geo2map.errors import OutputError
from geo2map.formats import CONTAINERS, Container, find_container
from geo2map.grid import PixelWindow
from geo2map.ledger import open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.protocols import Progress, TileStore
from geo2map.scene import View
from geo2map.testing import ArraySource, IdentityTranslator, fake_job
from geo2map.tiles.tilejson import FILE_NAME, TileSet

WINDOW = PixelWindow(256 * 8 + 10, 256 * 4, 256 * 11, 256 * 7 - 30)
PLAN = Plan(name="noise", view=View(6), window=WINDOW, block_span=2)


def write_zip(store: TileStore, tileset: TileSet, path: Path, progress: Progress | None = None) -> None:
    """A ZIP file of `{z}/{x}/{y}` tiles: all that a new container takes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr(zipfile.ZipInfo(FILE_NAME), tileset.to_bytes())
        for zoom in store.zooms:
            for tile in store.tiles(zoom):
                data = store.get(tile)
                assert data is not None
                file.writestr(zipfile.ZipInfo(f"{tile.z}/{tile.x}/{tile.y}.{tileset.format}"), data)
            if progress:
                progress("writing", zoom, tileset.maxzoom)


def source() -> ArraySource:
    shape = (WINDOW.height, WINDOW.width)
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return ArraySource(WINDOW, pixels, np.ones(shape, dtype=np.bool_))


def render(out: Path) -> None:
    job = fake_job(PLAN, Storage(minzoom=3, bare=True), IdentityTranslator())
    with open_output(out, job) as output:
        run(source(), IdentityTranslator(), output)


def test_a_container_is_a_function_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTAINERS, ".zip", Container("a ZIP file", write_zip))
    render(tmp_path / "tiles")
    render(tmp_path / "map.zip")
    render(tmp_path / "again" / "map.zip")
    assert (tmp_path / "map.zip").read_bytes() == (tmp_path / "again" / "map.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO((tmp_path / "map.zip").read_bytes())) as file:
        inside = {name: file.read(name) for name in file.namelist()}
    folder = tmp_path / "tiles"
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert inside == {name: data for name, data in files.items() if not name.startswith(".")}
    with pytest.raises(OutputError, match="exists already"):
        render(tmp_path / "map.zip")


def test_an_unknown_suffix_says_what_there_is() -> None:
    with pytest.raises(OutputError, match=r"\.xyz is not a supported output type.*\.tif"):
        find_container("map.xyz")


@pytest.mark.parametrize("address", ["s3://bucket/tiles/", "gs://bucket/map.tif", "https://host/tiles", "/vsis3/b/t"])
def test_an_address_is_no_output(address: str) -> None:
    with pytest.raises(OutputError, match="not a local path"):
        find_container(address)


def test_a_format_means_nothing_to_a_geotiff() -> None:
    with pytest.raises(OutputError, match="no tile format") as caught:
        find_container("map.tif").check_storage(Storage(format="webp"))
    assert caught.value.option == "format"


def test_a_folder_that_is_there_does_not_decide_against_a_suffix(tmp_path: Path) -> None:
    for name in ("empty.gpkg", "tiles.tif", "v1.2"):
        (tmp_path / name).mkdir()
    (tmp_path / "tiles.tif" / "tilejson.json").touch()
    assert find_container(tmp_path / "empty.gpkg").is_vector
    assert find_container(f"{tmp_path / 'empty.gpkg'}/").is_folder
    assert find_container(tmp_path / "tiles.tif").is_folder
    assert find_container(tmp_path / "v1.2").is_folder


def test_an_option_of_another_grid_is_named() -> None:
    for vector, fitting in ((False, "a .tif"), (True, "a vector file")):
        with pytest.raises(OutputError, match=f"web-mercator grid; choose {fitting}") as caught:
            find_container("map.pmtiles").check_storage(Storage(crs_out="EPSG:32618", vector=vector))
        assert caught.value.option == "crs_out"
