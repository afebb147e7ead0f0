"""Stage by stage gives what one call gives: tile, translate and mosaic against render, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasters import write_raster
from scipy.ndimage import gaussian_filter

import geo2map
from geo2map import Engine, mosaic_tiles, render, tile
from geo2map.api import translate_tiles
from geo2map.colour import ColourStatistics
from geo2map.errors import TileSetError, ZoomError
from geo2map.families.unet.generator import UNetGenerator
from geo2map.model import ModelCard
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.tilejson import TileSet

SceneWriter = Callable[..., Path]
STRAIGHT = Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
TURNED = Affine.translation(590_000, 4_510_000) @ Affine.rotation(20) @ Affine.scale(0.9, -0.9)


@pytest.fixture(scope="module")
def engine() -> Engine:
    """A random network of depth 4 whose output depends strongly on its input: a few ms a tile."""
    torch.manual_seed(0)
    network = UNetGenerator((8,) * 4)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.2)
    dark = np.random.default_rng(0).gamma(3, 25, (9999, 3)).clip(1, 254).astype(np.uint8)
    card = ModelCard(
        name="random",
        architecture="unet",
        config={"widths": [8] * 4},
        ground_resolution=0.905,
        zoom=17,
        margin=network.margin,
        size_multiple=network.size_multiple,
        colours=ColourStatistics.of(dark),
    )
    return Engine(network, card, torch.device("cpu"), torch.float32)


@pytest.fixture
def write(tmp_path: Path) -> SceneWriter:
    """Writes blobs of 620 x 500 px; the north-west corner, more than a tile of it, is nodata."""

    def write_scene(matrix: Affine = STRAIGHT, dtype: str = "uint8", corner: bool = True) -> Path:
        rows, columns = np.mgrid[:500, :620]
        blobs = gaussian_filter(np.random.default_rng(2).standard_normal((3, 500, 620)), (0, 2, 2))
        pixels = np.clip(130 + 60 * blobs / blobs.std(), 1, 254) * (1 if dtype == "uint8" else 20)
        pixels *= ~corner | (rows + columns > 450)
        place = {"crs": "EPSG:32618", "transform": matrix}
        return write_raster(tmp_path / "scene.tif", pixels.astype(dtype), nodata=0, **place)

    return write_scene


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tiles_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(folder).items() if name.endswith(".png")}


SCENES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a nodata corner": ({}, {"match": "none"}),
    "matched colours": ({}, {"match": "model"}),
    "turned, matched": ({"matrix": TURNED}, {"match": "model"}),
    "16 bits": ({"dtype": "uint16"}, {"match": "auto"}),
    "another zoom": ({"corner": False}, {"zoom": 16, "match": "none"}),
}


@pytest.mark.parametrize("kind", SCENES)
def test_tile_then_translate_is_render(kind: str, write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    scene, options = write(**SCENES[kind][0]), {"block_span": 2, **SCENES[kind][1]}
    rendered = render(scene, tmp_path / "rendered", engine=engine, **options)
    tile(scene, tmp_path / "cut", card=engine.card, **options)
    staged = translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine, block_span=2)
    assert (staged.tiles, staged.translated, staged.empty) == (rendered.tiles, rendered.translated, rendered.empty)
    assert rendered.tiles >= 4
    assert tiles_of(tmp_path / "staged") == tiles_of(tmp_path / "rendered")
    ours, theirs = TileSet.load(tmp_path / "staged"), TileSet.load(tmp_path / "rendered")
    assert ours is not None
    assert replace(ours, extra={}) == replace(theirs, extra={})  # type: ignore[type-var]


@pytest.mark.slow
def test_the_comparison_can_fail(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    """Neighbours, colours and the network all show in the pixels compared above."""
    scene, options = write(), {"block_span": 1, "match": "model"}
    render(scene, tmp_path / "rendered", engine=engine, **options)
    expected = tiles_of(tmp_path / "rendered")
    tile(scene, tmp_path / "cut", card=engine.card, **options)
    tile(scene, tmp_path / "unmatched", card=engine.card, block_span=1, match="none")
    translate_tiles(tmp_path / "unmatched", tmp_path / "other-colours", engine=engine, block_span=1)
    translate_tiles(tmp_path / "cut", tmp_path / "no-neighbours", engine=engine, block_span=1, margin=0)
    for other in ("cut", "other-colours", "no-neighbours"):
        found = tiles_of(tmp_path / other)
        assert found.keys() == expected.keys()
        assert found != expected


def test_cut_tiles_are_the_scenes_pixels_colours_applied(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    scene = write()
    tile(scene, tmp_path / "plain", card=engine.card, match="none")
    tile(scene, tmp_path / "matched", card=engine.card, match="model")
    plain, matched = XyzFolder(tmp_path / "plain"), XyzFolder(tmp_path / "matched")
    (zoom,) = {folder.zooms[-1] for folder in (plain, matched)}
    levels: dict[int, set[int]] = {}
    for place in plain.tiles(zoom):
        (here, mask), (there, same) = plain.read(place), matched.read(place)  # type: ignore[misc]
        np.testing.assert_array_equal(mask, same)
        for old, new in zip(here[mask][:, 0].tolist(), there[mask][:, 0].tolist(), strict=True):
            levels.setdefault(old, set()).add(new)
    assert all(len(new) == 1 for new in levels.values())  # one curve for the whole scene
    curve = [min(levels[old]) for old in sorted(levels)]
    assert curve == sorted(curve)
    assert curve != sorted(levels)


def test_colours_are_not_matched_twice(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    """Even where --match model is passed again: the tiles say that they have the model's colours."""
    scene = write()
    tile(scene, tmp_path / "cut", card=engine.card, match="model")
    translate_tiles(tmp_path / "cut", tmp_path / "again", engine=engine, match="model")
    render(scene, tmp_path / "rendered", engine=engine, match="model")
    assert tiles_of(tmp_path / "again") == tiles_of(tmp_path / "rendered")


@pytest.mark.parametrize("matrix", [STRAIGHT, TURNED])
def test_mosaic_of_the_tiles_is_the_rendered_geotiff(
    matrix: Affine, write: SceneWriter, engine: Engine, tmp_path: Path
) -> None:
    scene = write(matrix)
    render(scene, tmp_path / "tiles", engine=engine)
    render(scene, tmp_path / "map.tif", engine=engine)
    mosaic_tiles(tmp_path / "tiles", tmp_path / "mosaic.tif")
    assert (tmp_path / "mosaic.tif").read_bytes() == (tmp_path / "map.tif").read_bytes()


def test_the_last_stage_of_three_is_the_rendered_geotiff(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    scene = write()
    render(scene, tmp_path / "map.tif", engine=engine, match="model")
    tile(scene, tmp_path / "cut", card=engine.card, match="model")
    translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine)
    mosaic_tiles(tmp_path / "staged", tmp_path / "staged.tif")
    translate_tiles(tmp_path / "cut", tmp_path / "direct.tif", engine=engine)
    with rasterio.open(tmp_path / "map.tif") as expected:
        for name in ("staged.tif", "direct.tif"):
            with rasterio.open(tmp_path / name) as found:
                assert found.transform == expected.transform
                np.testing.assert_array_equal(found.read(), expected.read())


def test_foreign_tiles_are_translated_where_they_lie(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    """Without a document of ours the window is that of the tiles, and colours are looked at anew."""
    tile(write(), tmp_path / "cut", card=engine.card, match="none")
    (tmp_path / "cut" / "tilejson.json").unlink()
    report = translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine, match="model")
    assert report.tiles == len([name for name in tiles_of(tmp_path / "cut") if name.startswith("17/")])
    places = {name for name in tiles_of(tmp_path / "cut") if name.startswith("17/")}
    assert {name for name in tiles_of(tmp_path / "staged") if name.startswith("17/")} == places


def test_every_public_name_is_what_it_says() -> None:
    """Also once everything is imported: a module of the package must not hide a function of its name."""
    for name in geo2map.__all__:
        assert not isinstance(getattr(geo2map, name), ModuleType), name


def test_a_zoom_that_the_tiles_do_not_have(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    tile(write(), tmp_path / "cut", card=engine.card)
    with pytest.raises(ZoomError, match="zoom 18: not in") as caught:
        translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine, zoom=18)
    assert caught.value.option == "zoom"
    assert translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine, zoom=16).maxzoom == 16


def test_a_broken_tile_is_named_and_nothing_is_visible(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    """What was translated before is kept for another run."""
    tile(write(), tmp_path / "cut", card=engine.card)
    victim = sorted((tmp_path / "cut" / "17").rglob("*.png"))[-1]
    sound = victim.read_bytes()
    victim.write_bytes(sound[:100])
    before = set(tmp_path.iterdir())
    with pytest.raises(TileSetError, match=victim.name):
        translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine, block_span=1)
    assert set(tmp_path.iterdir()) - before <= {tmp_path / ".staged.partial"}
    victim.write_bytes(sound)
    translate_tiles(tmp_path / "cut", tmp_path / "staged", engine=engine, block_span=1, overwrite=True)
    translate_tiles(tmp_path / "cut", tmp_path / "fresh", engine=engine, block_span=1)
    assert files(tmp_path / "staged") == files(tmp_path / "fresh")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "staged", tmp_path / "fresh"}
