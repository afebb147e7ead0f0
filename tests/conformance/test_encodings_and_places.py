"""Quality, lossless and AVIF tiles in every container; outputs made elsewhere with `tmp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_container import make_store, tiles_in, write_set

from geo2map.api.converting import convert
from geo2map.errors import DataError, OutputError
from geo2map.formats import find_container
from geo2map.formats.opened import open_tiles
from geo2map.grid import PixelWindow
from geo2map.ledger import clean_output, open_output
from geo2map.ledger.checks import OutputOptions
from geo2map.pipeline.blocks import render_blocks
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job
from geo2map.tiles.codec import TileCodec, decode_tile, has_avif, is_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(make_store(TileCodec("png")), tmp_path_factory.mktemp("set") / "set")


@pytest.mark.skipif(not has_avif(), reason="the installed Pillow writes no AVIF")
@pytest.mark.parametrize("name", ["a.pmtiles", "a.mbtiles", "xyz"])
def test_avif(name: str, whole: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "1", tmp_path / "2"):
        convert(whole, folder / name, format="avif")
    found = tiles_in(tmp_path / "1" / name)
    assert found == tiles_in(tmp_path / "2" / name)
    with open_tiles(tmp_path / "1" / name) as (_, tileset):
        assert tileset.format == "avif"
    for tile, data in tiles_in(whole).items():
        (pixels, mask), (near, alike) = decode_tile(data), decode_tile(found[tile])
        assert np.array_equal(mask, alike)
        assert np.abs(pixels.astype(int) - near)[mask].mean() < 6
        assert is_whole(found[tile])
        assert not is_whole(found[tile][:-1])
    if name == "a.pmtiles":
        assert (tmp_path / "1" / name).read_bytes()[99] == 5


def test_lossless_and_quality(whole: Path, tmp_path: Path) -> None:
    before = tiles_in(whole)
    convert(whole, tmp_path / "a.mbtiles", format="webp", lossless=True)
    for tile, data in tiles_in(tmp_path / "a.mbtiles").items():
        for one, other in zip(decode_tile(data), decode_tile(before[tile]), strict=True):
            assert np.array_equal(one, other)
    sizes = []
    for quality in (20, 90):
        convert(whole, tmp_path / f"{quality}.pmtiles", format="jpeg", quality=quality)
        sizes.append(sum(map(len, tiles_in(tmp_path / f"{quality}.pmtiles").values())))
    assert sizes[0] < 0.8 * sizes[1]
    assert Storage(format="webp", lossless=True).codec.lossless


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"quality": 80}, "quality"),
        ({"format": "jpeg", "quality": 101}, "quality"),
        ({"format": "jpeg", "lossless": True}, "lossless"),
        ({"format": "avif", "lossless": True}, "lossless"),
        ({"format": "webp", "lossless": True, "quality": 80}, "lossless"),
    ],
)
def test_what_a_format_has_not(options: dict[str, Any], option: str) -> None:
    with pytest.raises(DataError) as caught:
        Storage(**options)
    assert caught.value.option == option or options.get("format") == "avif"


def test_a_raster_has_no_quality() -> None:
    with pytest.raises(OutputError, match="always lossless"):
        find_container("a.tif").check_storage(Storage(format="webp", quality=70))


@pytest.mark.parametrize("name", ["a.mbtiles", "a.pmtiles", "a.tif"])
def test_converted_elsewhere(name: str, whole: Path, tmp_path: Path) -> None:
    convert(whole, tmp_path / "here" / name)
    convert(whole, tmp_path / "there" / name, tmp=tmp_path / "tmp")
    assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [f".{name}.journal", name]
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(OutputError, match="written in place"):
        convert(whole, tmp_path / "tiles", tmp=tmp_path / "tmp")


def test_copied_from_another_disk(whole: Path, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    place = other / f"geo2map-{tmp_path.parent.name}-{tmp_path.name}"
    try:
        convert(whole, tmp_path / "a.tif")
        convert(whole, tmp_path / "b" / "a.tif", tmp=place)
        assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b" / "a.tif").read_bytes()
        assert list(place.iterdir()) == []
    finally:
        place.rmdir()


def test_an_interrupted_run_is_found_elsewhere(tmp_path: Path) -> None:
    window = PixelWindow(256 * 8, 256 * 4, 256 * 10, 256 * 6)
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    source = ArraySource(window, pixels, np.ones((512, 512), dtype=np.bool_))
    plan = Plan(name="noise", view=View(6), window=window, block_span=1)
    job = fake_job(plan, Storage(minzoom=5))
    blocks = list(render_blocks(plan, source, None, job.storage, plan.blocks()))
    out, tmp = tmp_path / "map.tif", tmp_path / "tmp"
    with open_output(out, job, OutputOptions(tmp=tmp)) as output:
        output.keep(*blocks[0])
    assert len(list(tmp.iterdir())) == 1
    with open_output(out, job) as output:
        assert len(output.records) == 1
        for block in blocks[1:]:
            output.keep(*block)
        output.finish()
    assert list(tmp.iterdir()) == []
    with open_output(tmp_path / "whole" / "map.tif", job) as output:
        for block in blocks:
            output.keep(*block)
        output.finish()
    assert out.read_bytes() == (tmp_path / "whole" / "map.tif").read_bytes()
    with open_output(tmp_path / "c.tif", job, OutputOptions(tmp=tmp)) as output:
        output.keep(*blocks[0])
    assert clean_output(tmp_path / "c.tif")
    assert list(tmp.iterdir()) == []
