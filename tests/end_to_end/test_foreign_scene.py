"""A scene whose colours differ: how far to match it is tried once, and holds for every way to render it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp

import geo2map
from geo2map.api.models import ResolvedModel
from geo2map.api.rendering import translate_tiles
from geo2map.api.requests import RenderRequest, resolve
from geo2map.cluster import plan_job
from geo2map.engine import Engine
from geo2map.ledger.finished_record import load_journal
from geo2map.plan import Plan, PlanOptions, make_plan
from geo2map.scene import ReadingOptions, open_imagery
from geo2map.tiles.folder import XyzFolder


@pytest.fixture(scope="module")
def hazy(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the town, much brighter."""
    path = tmp_path_factory.mktemp("hazy") / "hazy.tif"
    with rasterio.open(town) as dataset:
        pixels, profile = dataset.read(window=((0, 700), (0, 700))), dataset.profile
    profile.update(width=700, height=700)
    with rasterio.open(path, "w", **profile) as out:
        out.write(np.where(pixels.any(0), 80 + pixels * 0.6, 0).astype(np.uint8))
    return path


def plan_of(scene: Path, **options: object) -> Plan:
    resolved = resolve(RenderRequest.of(scene, None, "sat2map", options))  # type: ignore[arg-type]
    with resolved.open() as imagery, resolved.closing():
        return resolved.plan(imagery)


def recorded(output: Path) -> Plan:
    journal = load_journal(output)
    assert journal is not None
    with closing(journal):
        return journal.job.plan


def test_the_plan_records_the_decision_and_part_of_the_scene_has_the_same(hazy: Path) -> None:
    plan = plan_of(hazy)
    assert plan == plan_of(hazy)
    assert dict(plan.favours)["road"] > 0
    with rasterio.open(hazy) as dataset:
        west, south, east, north = rasterio.warp.transform_bounds(dataset.crs, 4326, *dataset.bounds)
    part = plan_of(hazy, aoi=((west + east) / 2, south, east, north), clip=True)
    assert part.view == plan.view
    assert part.favours == plan.favours


def test_what_an_output_records_is_not_tried_again(hazy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that of a finished output nor that of an interrupted one; nor is the network loaded for it."""
    geo2map.render(hazy, tmp_path / "map")

    def load(_: ResolvedModel) -> Engine:
        raise AssertionError

    monkeypatch.setattr(ResolvedModel, "loaded", property(load))
    assert geo2map.render(hazy, tmp_path / "map").complete
    with pytest.raises(AssertionError):
        geo2map.render(hazy, tmp_path / "other")


def test_shards_follow_the_same_plan(hazy: Path) -> None:
    assert plan_job(hazy).job.plan == plan_of(hazy)


def test_tiles_are_cut_in_the_colours_that_a_map_would_have(hazy: Path, engine: Engine, tmp_path: Path) -> None:
    """By a model, named or loaded; its card alone cannot try, and says how far for any scene."""
    tried = plan_of(hazy)
    for name, choice in {"named": "sat2map", "loaded": engine}.items():
        geo2map.tile(hazy, tmp_path / name, engine=choice)
        assert recorded(tmp_path / name).fingerprint == tried.untranslated().fingerprint
    geo2map.tile(hazy, tmp_path / "card", card=engine.card)
    with open_imagery(hazy, ReadingOptions()) as imagery:
        said = make_plan(imagery, engine.card, PlanOptions()).view.rendition
    assert recorded(tmp_path / "card").view.rendition == said != tried.view.rendition


@pytest.mark.slow
def test_cut_tiles_are_rendered_as_the_scene(hazy: Path, engine: Engine, tmp_path: Path) -> None:
    geo2map.render(hazy, tmp_path / "whole", engine=engine)
    geo2map.tile(hazy, tmp_path / "cut", engine=engine)
    translate_tiles(tmp_path / "cut", tmp_path / "again", engine=engine)
    whole, again = XyzFolder(tmp_path / "whole"), XyzFolder(tmp_path / "again")
    tiles = list(whole.tiles(17))
    assert len(tiles) > 4
    for tile in tiles:
        np.testing.assert_array_equal(whole.read(tile)[0], again.read(tile)[0])  # type: ignore[index]
