"""Overviews: the arithmetic of a parent, and which parents exist."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo2map.errors import TileSetError, ZoomError
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.pyramid import build_overviews, make_parent
from geo2map.types import Tile

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


def _folder(path: Path, tiles: list[Tile], format: str = "png") -> XyzFolder:
    path.mkdir()
    folder = XyzFolder(path)
    for tile in tiles:
        pixels, _ = _child(np.random.default_rng(hash(tile) % 2**32), 1.0)
        folder.write(tile, encode_tile(pixels, FULL, format), format)
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


TILES = [Tile(x, y, 5) for x, y in ((3, 4), (4, 4), (5, 4), (5, 5), (9, 30), (31, 31))]


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_parents_exist_where_a_child_does_and_come_from_stored_pixels(tmp_path: Path, format: str) -> None:
    folder = _folder(tmp_path / "tiles", TILES, format)
    written = build_overviews(folder.path, format, 2, 5)
    children = set(TILES)
    for zoom in (4, 3, 2):
        children = {Tile(tile.x // 2, tile.y // 2, zoom) for tile in children}
        assert list(folder.tiles(zoom)) == sorted(children)
        assert written[zoom] == len(children)
    assert folder.zooms == (2, 3, 4, 5)
    below = {(dx, dy): folder.read(Tile(4 + dx, 4 + dy, 5)) for dx, dy in CORNERS}
    parent = make_parent({corner: child for corner, child in below.items() if child})
    path = folder.tile_path(Tile(2, 2, 4))
    assert path is not None
    assert path.read_bytes() == encode_tile(*parent, format)


def test_taking_up_a_pyramid_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = _folder(tmp_path / "a", TILES, "webp"), _folder(tmp_path / "b", TILES, "webp")
    build_overviews(first.path, "webp", 0, 5)
    build_overviews(second.path, "webp", 3, 5)
    (second.path / "4" / "2" / "2.webp").write_bytes(b"torn")
    build_overviews(second.path, "webp", 0, 5)
    assert _contents(first.path) == _contents(second.path)


def test_parents_without_a_valid_pixel_are_not_written(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "tiles", [Tile(0, 0, 2)])
    folder.write(Tile(3, 3, 2), encode_tile(np.zeros((256, 256, 3), np.uint8), ~FULL, "png"), "png")
    assert build_overviews(folder.path, "png", 1, 2) == {1: 1}
    assert list(folder.tiles(1)) == [Tile(0, 0, 1)]


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = _folder(tmp_path / "tiles", TILES)
    build_overviews(folder.path, "png", 2, 5, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert {(stage, total) for stage, _, total in told} == {("overviews", len(told))}


def test_a_broken_child_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "tiles", TILES)
    broken = folder.path / "5" / "9" / "30.png"
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(TileSetError, match=r"30\.png"):
        build_overviews(folder.path, "png", 2, 5)


def test_zooms_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ZoomError):
        build_overviews(tmp_path, "png", 5, 4)
