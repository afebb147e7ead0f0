"""`render` with the packaged model: the same bytes again, whatever the batch, whatever happened before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geo2map
from geo2map.api import make_job, preview_block
from geo2map.engine import Engine
from geo2map.errors import OutputError, SceneError
from geo2map.grid import Block
from geo2map.plan import PlanOptions, make_plan
from geo2map.scene import SceneSource
from geo2map.tiles.folder import XyzFolder

OUTPUTS = ["tiles", "map.tif"]


@pytest.fixture
def cornered(small_scene: Path) -> Path:
    """The small scene with a nodata corner."""
    with rasterio.open(small_scene, "r+") as dataset:
        rows, columns = np.mgrid[: dataset.height, : dataset.width]
        dataset.nodata = 0
        dataset.write(dataset.read() * (rows + columns > 200).astype(np.uint8))
    return small_scene


@contextmanager
def batches_of(engine: Engine, batch: int) -> Iterator[Engine]:
    before, engine.batch = engine.batch, batch
    yield engine
    engine.batch = before


def content(path: Path) -> dict[str, bytes]:
    """Every file's bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return {str(file.relative_to(path)): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("out", OUTPUTS)
def test_bytes_do_not_depend_on_the_run_or_the_batch(out: str, cornered: Path, engine: Engine, tmp_path: Path) -> None:
    results = []
    for number, batch in enumerate((1, 1, 3)):
        with batches_of(engine, batch):
            geo2map.render(cornered, tmp_path / str(number) / out, engine=engine, block_span=1)
        results.append(content(tmp_path / str(number) / out))
    assert len(results[0]) >= (6 if out == "tiles" else 1)
    assert results[0] == results[1]
    assert results[0] == results[2]


def test_the_block_span_changes_at_most_one_level(cornered: Path, engine: Engine, tmp_path: Path) -> None:
    for span in (1, 4):
        geo2map.render(cornered, tmp_path / f"span{span}", engine=engine, block_span=span)
    one, four = XyzFolder(tmp_path / "span1"), XyzFolder(tmp_path / "span4")
    places = list(one.tiles(17))
    assert places == list(four.tiles(17))
    for place in places:
        (pixels, mask), (others, same) = one.read(place), four.read(place)  # type: ignore[misc]
        np.testing.assert_array_equal(mask, same)
        assert np.abs(pixels.astype(int) - others)[mask].max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_killed_run_leaves_no_output_and_a_second_gives_the_same_bytes(
    cornered: Path, engine: Engine, tmp_path: Path
) -> None:
    """The command itself; tests/faults/kill_anywhere.py kills runs into every kind of output at every step."""
    out = "map.tif"
    geo2map.render(cornered, tmp_path / "undisturbed" / out, engine=engine, block_span=1)
    target = tmp_path / "killed" / out
    command = [sys.executable, "-m", "geo2map_cli", "render", str(cornered), "--out", str(target)]
    child = subprocess.Popen(
        [*command, "--block-span", "1", "--device", "cpu", "-vv"], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    assert any("small: 1 of 4 blocks" in line for line in child.stderr), "it ended before a block was done"
    child.kill()
    child.stderr.close()
    assert child.wait() == -9
    assert not target.exists()
    assert sorted(path.name for path in target.parent.iterdir()) == [f".{out}.lock", f".{out}.partial"]
    report = geo2map.render(cornered, target, engine=engine, block_span=1)
    assert report.resumed >= 1
    assert report.resumed + report.translated + report.empty == 4
    assert content(target) == content(tmp_path / "undisturbed" / out)
    assert [path for path in target.parent.iterdir() if not path.name.endswith(".journal")] == [target]


# The Python interface


def test_the_report_says_what_was_done(cornered: Path, quick_engine: Engine, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    report = geo2map.render(
        cornered, tmp_path / "tiles", engine=quick_engine, block_span=1, progress=lambda *step: seen.append(step)
    )
    tiles = list(XyzFolder(tmp_path / "tiles").tiles(17))
    assert (report.name, report.maxzoom, report.tiles, report.error) == ("small", 17, len(tiles), None)
    assert {"total", "read", "translate", "encode", "write", "finish"} <= report.seconds.keys()
    assert any("scale mismatch" in note for note in report.notes)
    assert {stage for stage, _, _ in seen} == {"blocks", "overviews"}


def test_a_failed_scene_is_reported_and_the_rest_is_rendered(
    cornered: Path, quick_engine: Engine, tmp_path: Path
) -> None:
    scenes = [tmp_path / "missing.tif", cornered]
    broken, good = geo2map.render_each(scenes, tmp_path / "maps", engine=quick_engine, suffix=".tif")
    assert "scene not found" in str(broken.error)
    assert good.error is None
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [".small.tif.journal", "small.tif"]


def test_a_preview_is_the_rendered_tile(cornered: Path, quick_engine: Engine, tmp_path: Path) -> None:
    geo2map.render(cornered, tmp_path / "tiles", engine=quick_engine, block_span=1)
    folder = XyzFolder(tmp_path / "tiles")
    place = list(folder.tiles(17))[-1]
    pixels, mask = folder.read(place)  # type: ignore[misc]
    with geo2map.open_scenes(cornered) as scene:
        plan = make_plan(scene, quick_engine.card, PlanOptions(block_span=1))
        source, seen = preview_block(plan, scene, quick_engine, Block(17, place.x, place.y, 1, 1, plan.margin))
    np.testing.assert_array_equal(seen[mask], pixels[mask])
    assert set(np.unique(seen[~mask])) == {170, 225}  # hatched
    assert set(np.unique(source[~mask])) == {170, 225}
    source, seen, plan = geo2map.preview(cornered, engine=quick_engine, span=1, block_span=1)
    assert source.shape == seen.shape
    found = []
    for tile in folder.tiles(17):  # the preview is the part of a tile where the scene is
        core = Block(17, tile.x, tile.y, 1, 1).core
        left, top, right, bottom = core.intersection(plan.window)
        part = np.s_[top - core.top : bottom - core.top, left - core.left : right - core.left]
        drawn, there = (values[part] for values in folder.read(tile))  # type: ignore[union-attr]
        found.append(drawn.shape == seen.shape and np.array_equal(seen[there], drawn[there]))
    assert any(found)


def test_stage_by_stage(cornered: Path, quick_engine: Engine, tmp_path: Path) -> None:
    """What `render` does, spelled out: every part can be replaced by one of your own."""
    geo2map.render(cornered, tmp_path / "rendered", engine=quick_engine)
    with geo2map.open_scenes(cornered) as scene:
        plan = make_plan(scene, quick_engine.card, PlanOptions())
        job = make_job(scene, plan, quick_engine)
        with scene.at(job.plan.view) as source, geo2map.open_output(tmp_path / "staged", job) as output:
            geo2map.run(source, quick_engine, output)
    assert content(tmp_path / "staged") == content(tmp_path / "rendered")


@pytest.mark.parametrize("out", OUTPUTS)
def test_a_source_that_cannot_be_opened_leaves_nothing(
    out: str, cornered: Path, quick_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SceneError("went away")

    monkeypatch.setattr(SceneSource, "__init__", fail)
    before = set(tmp_path.iterdir())
    with pytest.raises(SceneError, match="went away"):
        geo2map.render(cornered, tmp_path / "new" / out, engine=quick_engine)
    assert set(tmp_path.iterdir()) == before


def test_a_taken_output_is_refused_before_any_work(
    cornered: Path, quick_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "map.tif").touch()
    monkeypatch.setattr(Engine, "translate", lambda *_: pytest.fail("translated"))
    with pytest.raises(OutputError, match="exists already") as caught:
        geo2map.render(cornered, tmp_path / "map.tif", engine=quick_engine)
    assert caught.value.option == "overwrite"
