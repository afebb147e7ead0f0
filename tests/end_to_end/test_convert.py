"""From one kind of tile set to another and back: the identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rasterio
from snapshots import read_files, read_tiles

from geo2map import Engine, render
from geo2map.api.converting import convert
from geo2map.errors import OutputError, TileSetError
from geo2map.formats.opened import open_tiles

SUFFIXES = [".mbtiles", ".pmtiles"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("options", [{}, {"format": "webp"}, {"palette": "maps"}], ids=["png", "webp", "palette"])
def test_rendered_into_a_container_as_into_a_folder(
    options: dict[str, Any], suffix: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    scene = write_sheet("a.tif")
    render(scene, tmp_path / "tiles", engine=quick_engine, **options)
    render(scene, tmp_path / f"map{suffix}", engine=quick_engine, **options)
    render(scene, tmp_path / "again" / f"map{suffix}", engine=quick_engine, **options)
    assert (tmp_path / f"map{suffix}").read_bytes() == (tmp_path / "again" / f"map{suffix}").read_bytes()
    convert(tmp_path / f"map{suffix}", tmp_path / "back")
    assert read_tiles(tmp_path / "back") == read_tiles(tmp_path / "tiles")
    assert (tmp_path / "back" / "tilejson.json").read_bytes() == (tmp_path / "tiles" / "tilejson.json").read_bytes()


def test_all_the_way_round(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    render(write_sheet("a.tif"), tmp_path / "tiles", engine=quick_engine)
    convert(tmp_path / "tiles", tmp_path / "a.mbtiles")
    convert(tmp_path / "a.mbtiles", tmp_path / "b.pmtiles")
    convert(tmp_path / "b.pmtiles", tmp_path / "back")
    assert read_tiles(tmp_path / "back") == read_tiles(tmp_path / "tiles")
    here, there = read_files(tmp_path / "tiles", hidden=False), read_files(tmp_path / "back", hidden=False)
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == ["provenance.json"]  # an archive knows less
    convert(tmp_path / "tiles", tmp_path / "again")
    assert read_files(tmp_path / "again", hidden=False) == here
    convert(tmp_path / "tiles", tmp_path / "bare", bare=True)
    assert read_files(tmp_path / "bare", hidden=False).keys() == {*read_tiles(tmp_path / "tiles"), "tilejson.json"}
    convert(tmp_path / "b.pmtiles", tmp_path / "b.tif")
    render(tmp_path / "a.tif", tmp_path / "map.tif", engine=quick_engine)
    with rasterio.open(tmp_path / "b.tif") as ours, rasterio.open(tmp_path / "map.tif") as theirs:
        assert (ours.read() == theirs.read()).all()


def test_what_cannot_be_converted(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif")
    with pytest.raises(TileSetError, match="not found"):
        convert(tmp_path / "nowhere", tmp_path / "a.pmtiles")
    with pytest.raises(TileSetError, match="not a tile set"):
        convert(scene, tmp_path / "a.pmtiles")
    render(scene, tmp_path / "tiles", engine=quick_engine)
    (tmp_path / "a.pmtiles").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        convert(tmp_path / "tiles", tmp_path / "a.pmtiles")
    convert(tmp_path / "tiles", tmp_path / "a.pmtiles", overwrite=True)
    data = (tmp_path / "a.pmtiles").read_bytes()
    (tmp_path / "short.pmtiles").write_bytes(data[: len(data) // 3])
    with pytest.raises(TileSetError, match=r"short\.pmtiles"):
        convert(tmp_path / "short.pmtiles", tmp_path / "x")
    kept = [".a.pmtiles.journal", "a.pmtiles", "a.tif", "short.pmtiles", "tiles"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_palette_is_all_there_is(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    render(write_sheet("a.tif"), tmp_path / "tiles", engine=quick_engine, palette=[(0, 0, 0), (255, 255, 255)])
    with open_tiles(tmp_path / "tiles") as (store, tileset):
        for zoom in range(tileset.minzoom, tileset.maxzoom + 1):
            for tile in store.tiles(zoom):
                pixels, mask = store.read(tile)  # type: ignore[attr-defined]
                assert set(pixels[mask].ravel().tolist()) <= {0, 255}
