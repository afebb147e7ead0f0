"""Overviews: the arithmetic of a parent, and which parents exist."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshots import read_files

from geo2map.errors import TileSetError
from geo2map.tiles.codec import SUFFIXES, TileCodec, encode_tile
from geo2map.tiles.pyramid import build_parents, encode_pyramid, make_parent
from geo2map.tiles.store import FolderStore
from geo2map.types import Tile, TileFormat

CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))
FULL = np.ones((256, 256), dtype=np.bool_)


def _child(rng: np.random.Generator, density: float) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), rng.random((256, 256)) < density


def _brute_force(canvas: np.ndarray, valid: np.ndarray, row: int, column: int) -> tuple[list[int], bool]:
    """One parent pixel by exact fractions."""
    spots = [(2 * row + dy, 2 * column + dx) for dy in (0, 1) for dx in (0, 1)]
    kept = [canvas[spot] for spot in spots if valid[spot]]
    if not kept:
        return [0, 0, 0], False
    means = (Fraction(sum(int(pixel[band]) for pixel in kept), len(kept)) for band in range(3))
    return [floor(mean + Fraction(1, 2)) for mean in means], True


@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]),
    there=st.sets(st.sampled_from(CORNERS)),
)
@settings(max_examples=25, deadline=None)
def test_parent_equals_exact_fractions(seed: int, density: float, there: set[tuple[int, int]]) -> None:
    rng = np.random.default_rng(seed)
    children = {corner: _child(rng, density) for corner in sorted(there)}
    canvas, valid = np.zeros((512, 512, 3), dtype=np.uint8), np.zeros((512, 512), dtype=np.bool_)
    for (dx, dy), (pixels, mask) in children.items():
        canvas[dy * 256 :, dx * 256 :][:256, :256] = pixels
        valid[dy * 256 :, dx * 256 :][:256, :256] = mask
    found, mask = make_parent(children)
    for row, column in rng.integers(0, 256, (200, 2)).tolist():
        colour, is_valid = _brute_force(canvas, valid, row, column)
        assert (found[row, column].tolist(), bool(mask[row, column])) == (colour, is_valid)


@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_parent_equals_a_float_mean_everywhere(seed: int, density: float) -> None:
    pixels, mask = _child(np.random.default_rng(seed), density)
    found, valid = make_parent({(1, 0): (pixels, mask)})
    masked = np.where(mask[..., None], pixels, np.nan).astype(np.float64)
    four = np.stack([masked[dy::2, dx::2] for dx, dy in CORNERS])
    count = np.isfinite(four).sum(axis=0)
    mean = np.floor(np.nansum(four, axis=0) / np.maximum(count, 1) + 0.5)
    assert np.array_equal(found[:128, 128:], mean)
    assert np.array_equal(valid[:128, 128:], count[..., 0] > 0)
    assert not valid[128:].any()
    assert not valid[:, :128].any()


def test_a_flat_colour_stays_that_colour_at_the_rim() -> None:
    mask = np.zeros((256, 256), dtype=np.bool_)
    mask[101, 77] = True
    pixels = np.where(mask[..., None], np.full(3, 201, np.uint8), np.full(3, 3, np.uint8))
    found, valid = make_parent({(0, 0): (pixels, mask)})
    assert valid.sum() == 1
    assert found[50, 38].tolist() == [201, 201, 201]


def _folder(path: Path, tiles: list[Tile], format: TileFormat = "png") -> FolderStore:
    path.mkdir()
    folder = FolderStore(path, SUFFIXES[format])
    for tile in tiles:
        pixels, _ = _child(np.random.default_rng(hash(tile) % 2**32), 1.0)
        folder.put(tile, encode_tile(pixels, FULL, format))
    return folder


def _build(folder: FolderStore, minzoom: int, maxzoom: int, format: TileFormat = "png", **options: Any) -> list[Tile]:
    """The parents that were made."""
    made = build_parents(folder, TileCodec(format), folder.tiles(maxzoom), minzoom, **options)
    return [tile for tile, data in made if data is not None]


TILES = [Tile(x, y, 5) for x, y in ((3, 4), (4, 4), (5, 4), (5, 5), (9, 30), (31, 31))]


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_parents_exist_where_a_child_does_and_come_from_stored_pixels(tmp_path: Path, format: TileFormat) -> None:
    folder = _folder(tmp_path / "tiles", TILES, format)
    written = _build(folder, 2, 5, format)
    children, expected = set(TILES), []
    for zoom in (4, 3, 2):
        children = {Tile(tile.x // 2, tile.y // 2, zoom) for tile in children}
        assert list(folder.tiles(zoom)) == sorted(children)
        expected += sorted(children)
    assert written == expected
    assert folder.zooms == (2, 3, 4, 5)
    below = {(dx, dy): folder.read(Tile(4 + dx, 4 + dy, 5)) for dx, dy in CORNERS}
    parent = make_parent({corner: child for corner, child in below.items() if child})
    path = folder.tile_path(Tile(2, 2, 4))
    assert path is not None
    assert path.read_bytes() == encode_tile(*parent, format)


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_a_pyramid_in_memory_is_the_one_of_stored_tiles(tmp_path: Path, format: TileFormat) -> None:
    """So that overviews may be made with their block, or afterwards."""
    tiles = {
        Tile(4 + dx, 4 + dy, 5): _child(np.random.default_rng(dx + 2 * dy), 0.99)
        for dx in range(4)
        for dy in range(3)
        if (dx, dy) != (1, 0)
    }
    (tmp_path / "tiles").mkdir()
    folder = FolderStore(tmp_path / "tiles", SUFFIXES[format])
    for tile, (pixels, mask) in tiles.items():
        folder.put(tile, encode_tile(pixels, mask, format))
    _build(folder, 3, 5, format)
    encoded = encode_pyramid(tiles, TileCodec(format), 2)
    assert {tile.z for tile in encoded} == {3, 4, 5}
    assert {tile: folder.get(tile) for zoom in folder.zooms for tile in folder.tiles(zoom)} == encoded
    assert set(encode_pyramid(tiles, TileCodec(format), 0)) == set(tiles)


def test_taking_up_a_pyramid_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = _folder(tmp_path / "a", TILES, "webp"), _folder(tmp_path / "b", TILES, "webp")
    _build(first, 0, 5, "webp")
    _build(second, 3, 5, "webp")
    (second.path / "4" / "2" / "2.webp").write_bytes(b"torn")
    _build(second, 0, 5, "webp")
    assert read_files(first.path) == read_files(second.path)


def test_only_the_parents_of_what_changed_are_made(tmp_path: Path) -> None:
    """Whether it is still there or not; the result is that of making all."""
    first, second = _folder(tmp_path / "a", TILES), _folder(tmp_path / "b", TILES)
    _build(first, 0, 5)
    (first.path / "5" / "31" / "31.png").unlink()
    changed = encode_tile(*_child(np.random.default_rng(7), 0.5), "png")
    first.put(TILES[0], changed)
    made = dict(build_parents(first, TileCodec("png"), [TILES[0], TILES[-1]], 0))
    assert {tile for tile in made if tile.z == 4} == {Tile(1, 2, 4), Tile(15, 15, 4)}
    gone = {tile for tile, data in made.items() if data is None}
    assert gone == {Tile(15, 15, 4), Tile(7, 7, 3), Tile(3, 3, 2), Tile(1, 1, 1)} - {
        Tile(tile.x >> level, tile.y >> level, 5 - level) for tile in TILES[:-1] for level in range(1, 6)
    }
    (second.path / "5" / "31" / "31.png").unlink()
    second.put(TILES[0], changed)
    _build(second, 0, 5)
    for tile in gone:
        (first.path / str(tile.z) / str(tile.x) / f"{tile.y}.png").unlink()
    assert read_files(first.path) == read_files(second.path)


def test_parents_without_a_valid_pixel_are_not_written(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "tiles", [Tile(0, 0, 2)])
    blank = encode_tile(np.zeros((256, 256, 3), np.uint8), ~FULL, "png")
    folder.put(Tile(3, 3, 2), blank)
    assert _build(folder, 1, 2) == [Tile(0, 0, 1)]
    assert list(folder.tiles(1)) == [Tile(0, 0, 1)]


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = _folder(tmp_path / "tiles", TILES)
    _build(folder, 2, 5, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert {(stage, total) for stage, _, total in told} == {("overviews", len(told))}


def test_a_broken_child_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "tiles", TILES)
    broken = folder.path / "5" / "9" / "30.png"
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(TileSetError, match=r"5/9/30"):
        _build(folder, 2, 5)


@pytest.mark.parametrize("minzoom", [5, 6])
def test_there_is_nothing_to_make_at_or_above_the_tiles_own_zoom(tmp_path: Path, minzoom: int) -> None:
    folder = _folder(tmp_path / "tiles", TILES)
    before = read_files(folder.path)
    assert _build(folder, minzoom, 5) == []
    assert read_files(folder.path) == before
