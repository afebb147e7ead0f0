"""Sinks: what appears when, what is left behind, what is refused; and the folder and document they write."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo2map.errors import Geo2MapError, OutputError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.outputs import RasterSink, XyzSink, open_sink
from geo2map.outputs.raster import mosaic
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import first_unexpected
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

BLOCK = Block(z=10, x=600, y=300, columns=3, rows=2)
TILESET = TileSet("town", "png", 8, 10, PixelWindow(600 * 256 + 9, 300 * 256 + 5, 603 * 256, 302 * 256), {"model": "m"})


def _image(block: Block = BLOCK, seed: int = 1) -> BlockImage:
    """Noise; the north-west tile is empty, the one east of it partly valid."""
    rng = np.random.default_rng(seed)
    shape = (block.core.height, block.core.width)
    mask = np.ones(shape, dtype=np.bool_)
    mask[:256, :300] = False
    return BlockImage(block, rng.integers(0, 256, (*shape, 3), dtype=np.uint8), mask)


def _render(path: str | Path, tileset: TileSet = TILESET, overwrite: bool = False, seed: int = 1) -> None:
    sink = open_sink(path, tileset, overwrite=overwrite)
    sink.write(_image(seed=seed))
    sink.commit()


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _bytes(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in _names(path)} if path.is_dir() else {"": path.read_bytes()}


@contextmanager
def _failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> Iterator[None]:
    """Within, a method of Path fails as the operating system would."""

    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, fail)
        yield


OUTPUTS = ["tiles", "map.tif"]


# What appears


def test_a_folder_of_tiles_holds_valid_tiles_overviews_and_the_document(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    leaves = [f"10/{x}/{y}.png" for x, y in ((600, 301), (601, 300), (601, 301), (602, 300), (602, 301))]
    parents = ["8/150/75.png", "9/300/150.png", "9/301/150.png"]
    assert _names(tmp_path) == sorted(f"tiles/{name}" for name in [*leaves, *parents, "tilejson.json"])
    pixels, mask = XyzFolder(tmp_path / "tiles").read(Tile(601, 300, 10)) or (None, None)
    assert np.array_equal(mask, _image().mask[:256, 256:512])
    assert np.array_equal(pixels, _image().pixels[:256, 256:512] * _image().mask[:256, 256:512, None])


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_is_visible_before_commit_and_nothing_left_after(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / name, TILESET)
    sink.write(_image())
    assert [path.name for path in tmp_path.iterdir()] == [f".{name}.partial"]
    sink.commit()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    sink.commit()
    sink.abort()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(OutputError, match="finished"):
        sink.write(_image())


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_the_same_pixels_give_the_same_bytes_whatever_the_blocks(tmp_path: Path, name: str, format: str) -> None:
    tileset = replace(TILESET, format=format)
    _render(tmp_path / "a" / name, tileset)
    sink = open_sink(tmp_path / "b" / name, tileset)
    image = _image()
    parts = [
        BlockImage(Block(10, tile.x, tile.y, 1, 1), pixels, mask)
        for tile, pixels, mask in reversed(list(image.tiles()))
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sink.write, [*parts, *parts[:1]]))
    sink.commit()
    assert _bytes(tmp_path / "a" / name) == _bytes(tmp_path / "b" / name)


@pytest.mark.parametrize("name", OUTPUTS)
def test_abort_leaves_nothing_not_even_parents(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / "new" / "deep" / name, TILESET) as sink:
        sink.write(_image())
        sink.abort()
        sink.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_abort_keeps_parents_that_others_use(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / "new" / name, TILESET)
    (tmp_path / "new" / "note.txt").write_text("mine")
    sink.abort()
    assert _names(tmp_path) == ["new/note.txt"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_error_within_with_aborts(tmp_path: Path, name: str) -> None:
    def interrupted() -> None:
        with open_sink(tmp_path / name, TILESET) as sink:
            sink.write(_image())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_killed_run_left_is_removed(tmp_path: Path, name: str) -> None:
    killed = open_sink(tmp_path / name, TILESET)
    killed.write(_image(seed=5))
    (tmp_path / f".{name}.partial" / "10" / "600" / "300.png.tmp").write_bytes(b"half")
    _render(tmp_path / name)
    _render(tmp_path / "fresh" / name)
    assert _bytes(tmp_path / name) == _bytes(tmp_path / "fresh" / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "fresh"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_valid_pixel_is_an_error_not_a_blank(tmp_path: Path, name: str) -> None:
    image = _image()
    with open_sink(tmp_path / name, TILESET) as sink:
        sink.write(BlockImage(image.block, image.pixels, np.zeros_like(image.mask)))
        with pytest.raises(OutputError, match="valid pixel"):
            sink.commit()
    assert list(tmp_path.iterdir()) == []


def test_a_block_of_another_zoom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="zoom 10"), open_sink(tmp_path / "tiles", TILESET) as sink:
        sink.write(_image(replace(BLOCK, z=11)))


# Which sink


@pytest.mark.parametrize("name", ["tiles", "tiles.v2/", "map.tif/", ".hidden", "deep/er/tiles"])
def test_folders(tmp_path: Path, name: str) -> None:
    with open_sink(f"{tmp_path}/{name}", TILESET) as sink:
        assert isinstance(sink, XyzSink)


def test_an_existing_folder_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "2024.05").mkdir()
    _render(tmp_path / "2024.05")
    assert (tmp_path / "2024.05" / "tilejson.json").is_file()


@pytest.mark.parametrize("name", ["map.tif", "map.TIFF", "a.b.tif"])
def test_rasters(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / name, TILESET) as sink:
        assert isinstance(sink, RasterSink)


@pytest.mark.parametrize("name", ["map.mbtiles", "map.png", "tiles.v2"])
def test_other_suffixes_say_what_is_supported(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.tif.*folder of tiles"):
        open_sink(tmp_path / name, TILESET)


# What is there already


def test_an_empty_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    _render(tmp_path / "tiles")
    assert (tmp_path / "tiles" / "tilejson.json").is_file()


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_existing_output_is_refused_at_once(tmp_path: Path, name: str) -> None:
    _render(tmp_path / name)
    before = _bytes(tmp_path)
    with pytest.raises(OutputError, match="--overwrite"):
        open_sink(tmp_path / name, TILESET)
    assert _bytes(tmp_path) == before


@pytest.mark.parametrize("name", OUTPUTS)
def test_overwriting_replaces_at_commit_only(tmp_path: Path, name: str) -> None:
    _render(tmp_path / name)
    before = _bytes(tmp_path / name)
    with open_sink(tmp_path / name, TILESET, overwrite=True) as sink:
        sink.write(_image(seed=2))
        assert _bytes(tmp_path / name) == before
    assert _bytes(tmp_path) == {f"{name}/{key}".rstrip("/"): data for key, data in before.items()}
    _render(tmp_path / name, overwrite=True, seed=2)
    assert _bytes(tmp_path / name) != before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_turns_up_during_the_run_is_kept(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / name, TILESET) as sink:
        sink.write(_image())
        _render(tmp_path / "other" / name, seed=3)
        (tmp_path / "other" / name).rename(tmp_path / name)
        with pytest.raises(OutputError, match="--overwrite"):
            sink.commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "other"])


STRANGERS = [
    "notes.txt",
    "Documents/letter.odt",
    "10/holiday.jpg",
    "10/600/holiday.jpg",
    "10/600/5.odt",
    "10/600/5",
    "2024/12/1.jpg",
    "10/600/5/6.png",
    ".ssh/id_rsa",
    "10/README",
]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_overwriting_never_deletes_a_folder_with_anything_else_in_it(tmp_path: Path, stranger: str) -> None:
    home = tmp_path / "home"
    _render(home)
    (home / stranger).parent.mkdir(parents=True, exist_ok=True)
    (home / stranger).write_text("precious")
    before = _bytes(tmp_path)
    with pytest.raises(OutputError, match="no part of a tile set"):
        open_sink(home, TILESET, overwrite=True)
    assert _bytes(tmp_path) == before


def test_a_stranger_that_turns_up_during_the_run_is_kept(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    with open_sink(tmp_path / "tiles", TILESET, overwrite=True) as sink:
        sink.write(_image(seed=2))
        (tmp_path / "tiles" / "notes.txt").write_text("precious")
        before = _bytes(tmp_path / "tiles")
        with pytest.raises(OutputError, match=r"notes\.txt"):
            sink.commit()
    assert _bytes(tmp_path / "tiles") == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiles"]


def test_a_web_page_alone_is_no_tile_set(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>")
    with pytest.raises(OutputError, match="neither zooms"):
        open_sink(tmp_path, TILESET, overwrite=True)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_strangers(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "10").symlink_to(tmp_path)
    assert first_unexpected(tmp_path / "tiles") == tmp_path / "tiles" / "10"


def test_sidecars_and_clutter_are_not(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    for name in ("tiles.xml", "town.qlr", ".DS_Store", "10/600/301.png.aux.xml", "10/600/301.kml", "10/Thumbs.db"):
        (tmp_path / "tiles" / name).write_text("")
    assert first_unexpected(tmp_path / "tiles") is None
    _render(tmp_path / "tiles", overwrite=True)
    assert not (tmp_path / "tiles" / "town.qlr").exists()


def test_a_hidden_folder_of_someone_else_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / ".tiles.partial").mkdir()
    (tmp_path / ".tiles.partial" / "diary.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"diary\.txt"):
        open_sink(tmp_path / "tiles", TILESET)
    assert _names(tmp_path) == [".tiles.partial/diary.txt"]


def test_a_failed_swap_puts_the_old_output_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _render(tmp_path / "tiles")
    before = _bytes(tmp_path)
    rename = Path.rename

    def fail_for_fresh(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise PermissionError(errno.EACCES, "in use", str(self))
        return rename(self, target)

    with open_sink(tmp_path / "tiles", TILESET, overwrite=True) as sink:
        sink.write(_image(seed=2))
        monkeypatch.setattr(Path, "rename", fail_for_fresh)
        with pytest.raises(OutputError, match="in use"):
            sink.commit()
    assert _bytes(tmp_path) == before


def test_an_output_lost_between_two_renames_comes_back(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    before = _bytes(tmp_path / "tiles")
    (tmp_path / "tiles").rename(tmp_path / ".tiles.replaced")
    with pytest.raises(OutputError, match="--overwrite"):
        open_sink(tmp_path / "tiles", TILESET)
    assert _bytes(tmp_path / "tiles") == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiles"]


# Places that cannot be written


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_above_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file is a file"):
        open_sink(tmp_path / "file" / "deep" / name, TILESET)
    assert _names(tmp_path) == ["file"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "tiles").write_text("")
    with pytest.raises(OutputError, match="it is a file"):
        open_sink(tmp_path / "tiles", TILESET, overwrite=True)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG, errno.EIO])
def test_the_operating_systems_refusals_become_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    with _failing(monkeypatch, "mkdir", number), pytest.raises(OutputError) as caught:
        open_sink(tmp_path / "new" / name, TILESET)
    assert os.strerror(number) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with (
        open_sink(tmp_path / name, TILESET) as sink,
        _failing(monkeypatch, "write_bytes", errno.ENOSPC),
        pytest.raises(OutputError, match="disk is full"),
    ):
        sink.write(_image())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_sink(tmp_path / "tiles", TILESET) as sink:
        sink.write(_image())
        with _failing(monkeypatch, "write_bytes", errno.ENOSPC), pytest.raises(OutputError, match="disk is full"):
            sink.commit()
    assert list(tmp_path.iterdir()) == []


def test_a_vanished_staging_folder_is_an_error_not_a_torn_output(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "tiles", TILESET)
    (tmp_path / ".tiles.partial").rmdir()
    with pytest.raises(OutputError):
        sink.write(_image())
    with pytest.raises(Geo2MapError):
        sink.commit()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.8, 0.95, 0.999])
def test_a_geotiff_cut_short_is_never_renamed(tmp_path: Path, share: float) -> None:
    import resource

    _render(tmp_path / "tiles", replace(TILESET, format="webp"))
    mosaic(tmp_path / "tiles", tmp_path / "whole.tif")
    size = (tmp_path / "whole.tif").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), before[1]))
    try:
        with pytest.raises(OutputError):
            mosaic(tmp_path / "tiles", tmp_path / "cut.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiles", "whole.tif"]
