"""The estimate: tiles and blocks counted exactly, the rest to the right order of magnitude."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from affine import Affine
from rasterio.warp import transform
from rasters import noise, write_raster

from geo2map.api import make_job
from geo2map.colour import ColourStatistics
from geo2map.engine import Engine
from geo2map.formats import find_container
from geo2map.ledger import open_output
from geo2map.model import ModelCard
from geo2map.pipeline.estimate import Estimate, estimate
from geo2map.pipeline.run import run
from geo2map.plan import PlanOptions, Storage, make_plan
from geo2map.scene import open_scene
from geo2map.tiles.folder import XyzFolder

SceneWriter = Callable[..., Path]
FOLDER = find_container("tiles/")


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Returns what it gets: counting needs no network."""
    colours = ColourStatistics.of(np.random.default_rng(0).integers(1, 255, (999, 3), dtype=np.uint8))
    facts = {"ground_resolution": 0.905, "zoom": 17, "margin": 16, "size_multiple": 16}
    card = ModelCard(name="identity", architecture="unet", config={}, colours=colours, **facts)
    return Engine(torch.nn.Identity(), card, torch.device("cpu"), torch.float32)


@pytest.fixture
def write(tmp_path: Path) -> SceneWriter:
    """Writes noise, valid where `valid` (H, W) is, turned and shifted."""

    def write_scene(valid: np.ndarray, turn: float = 0.0, east: float = 0.0) -> Path:
        height, width = valid.shape
        matrix = Affine.translation(590_000 + east, 4_510_000) @ Affine.rotation(turn) @ Affine.scale(0.9, -0.9)
        place = {"crs": "EPSG:32618", "transform": matrix}
        return write_raster(tmp_path / "scene.tif", noise(3, height, width) * valid, nodata=0, **place)

    return write_scene


def promise_and_truth(
    path: Path, engine: Engine, out: Path, span: int = 1, **options: Any
) -> tuple[Estimate, dict[int, int], int]:
    """The estimate, the tiles by zoom that a run then writes, and the blocks it translates."""
    with open_scene(path) as scene:
        plan = make_plan(scene, engine.card, PlanOptions(block_span=span, **options))
        promised = estimate(plan, Storage().resolve(plan), scene, engine, FOLDER)
        job = make_job(scene, plan, engine)
        with scene.at(plan.view) as source, open_output(out, job) as output:
            report = run(source, engine, output)
    folder = XyzFolder(out)
    return promised, {zoom: len(list(folder.tiles(zoom))) for zoom in folder.zooms}, report.translated


@pytest.mark.parametrize("seed", range(8))
def test_tiles_and_blocks_are_counted_exactly(seed: int, write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    """Corners, turns and shifts leave slivers of data in some tiles."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(260, 700, 2)
    rows, columns = np.mgrid[:height, :width]
    a, b = rng.uniform(0.2, 1.0, 2)
    path = write(rows / (height * a) + columns / (width * b) > 1, [0, 0, 20][seed % 3], rng.uniform(0, 300))
    promised, written, translated = promise_and_truth(path, engine, tmp_path / "tiles", span=1 + seed % 2)
    assert promised.tiles == written
    assert promised.blocks == translated


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_an_area_of_interest_is_counted_exactly(
    seed: int, clip: bool, write: SceneWriter, engine: Engine, tmp_path: Path
) -> None:
    """A triangle and a speck that a look may overlook, over data with a slanted border."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:900, :1000]
    path = write(rows / 700 + columns / 800 > 1, [0, 20][seed % 2])
    corners = [(590_000, 4_510_000) + rng.uniform(0, 800, 2) * (1, -1) for _ in range(3)]
    speck = shapely.box(590_600, 4_509_400, 590_604, 4_509_404)
    utm = shapely.union_all([shapely.make_valid(shapely.Polygon(corners)), speck])
    aoi = shapely.transform(utm, lambda xy: np.column_stack(transform("EPSG:32618", "EPSG:4326", *xy.T)))
    promised, written, translated = promise_and_truth(
        path, engine, tmp_path / "tiles", span=1 + seed % 2, aoi=aoi, clip=clip
    )
    assert promised.tiles == written
    assert promised.blocks == translated


@pytest.mark.parametrize("side", [1, 3, 15, 40])
def test_a_scene_smaller_than_a_look(side: int, write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    path = write(np.ones((side, side), dtype=bool))
    promised, written, translated = promise_and_truth(path, engine, tmp_path / "tiles")
    assert (promised.tiles, promised.blocks) == (written, translated)


def test_islands_in_nothing(write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    valid = np.zeros((900, 900), dtype=bool)
    valid[30:60, 30:60], valid[700:890, 850:890] = True, True
    promised, written, translated = promise_and_truth(write(valid), engine, tmp_path / "tiles")
    assert (promised.tiles, promised.blocks) == (written, translated)


def test_nothing_costs_nothing(write: SceneWriter, engine: Engine) -> None:
    with open_scene(write(np.zeros((300, 300), dtype=bool))) as scene:
        plan = make_plan(scene, engine.card)
        found = estimate(plan, Storage().resolve(plan), scene, engine, FOLDER)
    assert (set(found.tiles.values()), found.blocks, found.bytes, found.spool, found.seconds) == ({0}, 0, 0, 0, 0.0)


@pytest.mark.parametrize("suffix", ["", ".tif"])
def test_bytes_are_near(suffix: str, write: SceneWriter, engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / f"map{suffix}"
    with open_scene(write(np.ones((1000, 1000), dtype=bool))) as scene:
        plan = make_plan(scene, engine.card, PlanOptions(block_span=1))
        promised = estimate(plan, Storage().resolve(plan), scene, engine, find_container(out))
        with scene.at(plan.view) as source, open_output(out, make_job(scene, plan, engine)) as output:
            report = run(source, engine, output)
    assert report.translated == promised.blocks
    files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]
    truth = sum(path.stat().st_size for path in files)
    assert promised.bytes == pytest.approx(truth, rel=0.2)
    assert promised.spool == (0 if out.is_dir() else pytest.approx(truth, rel=0.2))
    assert promised.seconds > 0
    assert promised.memory is None or promised.memory > 2**20


def test_what_a_person_and_a_program_read() -> None:
    found = Estimate({17: 12, 16: 4, 15: 1}, 9, 3 * 2**20, 0, 512 * 2**20, 61.4)
    assert str(found) == (
        "17 tiles (z17: 12, z16: 4, z15: 1), 9 blocks to translate\nabout 3.0 MiB, 512 MiB of memory, 61 s"
    )
    assert json.loads(json.dumps(found.to_dict()))["blocks"] == 9
    spooled = Estimate({17: 12}, 9, 3 * 2**20, 2 * 2**20, None, 61.4)
    assert str(spooled).splitlines()[1] == "about 3.0 MiB, 2.0 MiB more during the run, 61 s"
