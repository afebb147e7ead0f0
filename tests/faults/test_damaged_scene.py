"""Damaged files with --on-error skip: colours from what can be read, and every block that can be read is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasters import write_raster
from scipy.ndimage import gaussian_filter

from geo2map import open_scenes, tile
from geo2map.errors import SceneError, TileSetError
from geo2map.testing import make_card
from geo2map.tiles.folder import XyzFolder

CARD = make_card(margin=32)
SIDE, BLOCK = 384, 48
Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes 16-bit blobs at 1.2 m that get brighter to the south, so that every block counts for the stretch."""

    def write_scene(name: str, *, levels: list[int] | None = None, alpha: bool = False, east: int = 0) -> Path:
        noise = gaussian_filter(np.random.default_rng(len(name)).standard_normal((3, SIDE, SIDE)), (0, 3, 3))
        pixels = np.clip(900 + 2000 * noise + 2 * np.arange(SIDE)[None, :, None], 1, 9999).astype(np.uint16)
        if alpha:
            pixels = np.concatenate([pixels, np.full((1, SIDE, SIDE), 65535, np.uint16)])
        profile = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
        profile |= {"photometric": "RGB", **({"alpha": "YES"} if alpha else {})}
        matrix = Affine(1.2, 0, 590_000 + 1.2 * east, 0, -1.2, 4_510_000)
        path = write_raster(tmp_path / name, pixels, crs="EPSG:32618", transform=matrix, **profile)
        if levels:
            with rasterio.open(path, "r+") as dataset:
                dataset.build_overviews(levels, Resampling.nearest)
        return path

    return write_scene


def spoil(scene: Path, row: int, column: int, level: int | None = None) -> None:
    """Overwrites one stored block with bytes that are no deflate stream."""
    with rasterio.open(scene, **({} if level is None else {"OVERVIEW_LEVEL": level})) as dataset:
        at, size = (
            int(dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")
        )
    with scene.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * size)


def shorten(scene: Path, share: float) -> None:
    """A copy that broke off."""
    data = scene.read_bytes()
    scene.write_bytes(data[: int(len(data) * share)])


def cut(scene: Any, out: Path, **options: Any) -> Any:
    return tile(scene, out, card=CARD, zoom=17, block_span=1, **options)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_one_block_is_damaged(write: Writer, tmp_path: Path) -> None:
    """What is made is what the whole scene gives with the same stretch, twice the same bytes, and it is told."""
    scene = write("a.tif")
    with open_scenes(scene, on_error="skip") as whole:
        undamaged = whole.sample()
        assert whole.notes == ()
    spoil(scene, 0, 0)
    with pytest.raises(SceneError, match=r"cannot read .*a\.tif"):
        cut(scene, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()

    first = cut(scene, tmp_path / "first", on_error="skip")
    assert "warning: 1 of the 64 sampled blocks cannot be read; the others decide the colours" in first.notes
    assert first.failed
    assert first.translated
    assert (tmp_path / "first" / "failed.geojson").exists()
    second = cut(scene, tmp_path / "second", on_error="skip")
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "second")
    assert len(second.failed) == len(first.failed)

    with open_scenes(scene, on_error="skip") as opened:
        sample = opened.sample()
    assert sample.dtype == np.uint16
    assert np.abs(np.percentile(sample, (2, 98)) - np.percentile(undamaged, (2, 98))).max() < 80  # of some 1,300


def test_an_undamaged_scene_is_sampled_as_ever(write: Writer, tmp_path: Path) -> None:
    scene = write("a.tif", levels=[2, 4])
    for on_error in ("fail", "skip"):
        cut(scene, tmp_path / on_error, on_error=on_error)
    assert bytes_of(tmp_path / "fail") == bytes_of(tmp_path / "skip")


@pytest.mark.parametrize("alpha", [False, True])
def test_the_file_broke_off(alpha: bool, write: Writer, tmp_path: Path) -> None:
    scene = write("a.tif", alpha=alpha)
    shorten(scene, 0.6)
    report = cut(scene, tmp_path / "tiles", on_error="skip")
    missing = int(next(note for note in report.notes if "cannot be read" in note).split()[1])
    assert 20 <= missing <= 32
    assert 0.4 < len(report.failed) / (len(report.failed) + report.translated) < 0.9
    assert len(list(XyzFolder(tmp_path / "tiles").tiles(17))) == report.tiles


def test_only_overviews_are_damaged(write: Writer, tmp_path: Path) -> None:
    """They alone were asked for the look; the blocks of the scene itself are whole."""
    scene = write("a.tif", levels=[2])
    cut(scene, tmp_path / "whole")
    spoil(scene, 1, 1, level=0)
    report = cut(scene, tmp_path / "tiles", on_error="skip")
    assert not any("blocks" in note for note in report.notes)
    assert not report.failed


def test_nothing_of_it_can_be_read(write: Writer, tmp_path: Path) -> None:
    scene = write("a.tif")
    for row in range(SIDE // BLOCK):
        for column in range(SIDE // BLOCK):
            spoil(scene, row, column)
    with pytest.raises(SceneError, match=r"cannot read .*a\.tif"):
        cut(scene, tmp_path / "tiles", on_error="skip")


def test_one_sheet_of_several(write: Writer, tmp_path: Path) -> None:
    """A sheet of which nothing can be read has no say in the colours of the others."""
    scenes = [write("left.tif"), write("right.tif", east=SIDE)]
    for row in range(SIDE // BLOCK):
        for column in range(SIDE // BLOCK):
            spoil(scenes[0], row, column)
    with pytest.raises(SceneError, match=r"left\.tif"):
        cut(scenes, tmp_path / "refused")
    report = cut(scenes, tmp_path / "tiles", on_error="skip")
    assert any("left.tif" in note and "the other scenes decide the colours" in note for note in report.notes)
    assert report.failed
    assert report.translated
    with open_scenes(scenes[1]) as alone, open_scenes(scenes, on_error="skip") as both:
        assert np.isin(both.sample(), alone.sample()).all()


def test_a_broken_tile_among_tiles(write: Writer, tmp_path: Path) -> None:
    cut(write("a.tif"), tmp_path / "cut")
    broken = next((tmp_path / "cut" / "17").rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(TileSetError, match=broken.name):
        cut(tmp_path / "cut", tmp_path / "refused")
    report = cut(tmp_path / "cut", tmp_path / "again", on_error="skip")
    assert "warning: 1 of the sampled tiles cannot be read; the others decide the colours" in report.notes
    assert report.failed
    assert report.translated
