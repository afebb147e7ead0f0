"""Shards into parts, parts into what one process would have written."""

from __future__ import annotations

import json
import pickle
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from geo2map_cli.main import cli
from snapshots import read_files

import geo2map.api
from geo2map.checking import check
from geo2map.cluster import JobFile, PartFolder, merge_parts, plan_job, render_shard, render_slice, summarise
from geo2map.errors import Geo2MapError, OutputError, PlanError
from geo2map.ledger import OutputOptions
from geo2map.ledger.finished_record import load_journal
from geo2map.scene import select_scenes
from geo2map.testing import make_card

CARD = make_card(name="cut", margin=0, size_multiple=1)
CUT = {"zoom": 17, "block_span": 1, "match": "none"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Some 3 x 3 tiles of noise at zoom 17 with a hole."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 30, 32), dtype=np.uint8).repeat(20, 1).repeat(20, 2)
    pixels[:, 200:430, 200:470] = 0
    profile = {"driver": "GTiff", "width": 640, "height": 600, "count": 3, "dtype": "uint8", "nodata": 0}
    with rasterio.open(
        tmp_path / "s.tif", "w", **profile, crs="EPSG:32618", transform=Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)
    ) as dataset:
        dataset.write(pixels)
    return tmp_path / "s.tif"


@pytest.fixture
def order(scene: Path) -> JobFile:
    return plan_job(scene, model=None, card=CARD, shard_zoom=16, **CUT)


def stamps(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each file below a folder was written, and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def records_of(out: Path) -> tuple[object, ...]:
    """What an output's journal says of blocks and tiles."""
    journal = load_journal(out)
    assert journal is not None
    with closing(journal):
        records = journal.layer()
        tiles = [pair for zoom in records.zooms for pair in records.digests(zoom)]
        return journal.job, journal.blocks(), tiles


def render_all(order: JobFile, parts: Path) -> None:
    for shard in order.shards():
        render_shard(order, shard, parts)


@pytest.mark.parametrize("name", ["tiles", "m.pmtiles", "m.mbtiles", "m.tif"])
def test_merged_is_what_one_process_writes(name: str, scene: Path, order: JobFile, tmp_path: Path) -> None:
    whole = tmp_path / "whole" / name
    geo2map.api.tile(scene, whole, card=CARD, **CUT)
    render_all(order, tmp_path / "parts")
    report = merge_parts(tmp_path / "parts", tmp_path / "merged" / name)
    assert read_files(tmp_path / "merged" / name) == read_files(whole)
    assert report.tiles > 5
    assert [p.name for p in (tmp_path / "merged").iterdir() if not p.name.endswith(".journal")] == [name]
    assert records_of(tmp_path / "merged" / name) == records_of(whole)
    assert check(tmp_path / "merged" / name).ok
    before = stamps(tmp_path)
    assert geo2map.api.tile(scene, tmp_path / "merged" / name, card=CARD, **CUT).complete  # the job is the same
    assert stamps(tmp_path) == before


def test_classes_are_planned(scene: Path) -> None:
    order = plan_job(scene, model="sat2map", classes=True, force=True)
    assert [name for name, _ in order.job.storage.legend or ()][:2] == ["land", "building"]


def test_a_job_file_says_it_all(order: JobFile, tmp_path: Path) -> None:
    order.write(tmp_path / "a.job.json")
    assert JobFile.read(tmp_path / "a.job.json") == order == pickle.loads(pickle.dumps(order))
    changed = (tmp_path / "a.job.json").read_text().replace('"margin": 0', '"margin": 32')
    (tmp_path / "b.job.json").write_text(changed)
    with pytest.raises(PlanError, match="changed after"):
        JobFile.read(tmp_path / "b.job.json")
    (tmp_path / "c.job.json").write_text("{}")
    with pytest.raises(PlanError, match="not a job file"):
        JobFile.read(tmp_path / "c.job.json")
    with pytest.raises(PlanError, match="not found"):
        JobFile.read(tmp_path / "d.job.json")


def test_twice_is_once(order: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second worker that did not see the first's record makes the same part and leaves the record alone."""
    shard = next(order.shards())
    first = render_shard(order, shard, tmp_path / "parts")
    before = read_files(tmp_path / "parts")
    known = PartFolder.record
    answers = iter([None, None])
    monkeypatch.setattr(PartFolder, "record", lambda self, shard: next(answers, known(self, shard)))
    again = render_shard(order, shard, tmp_path / "parts")
    assert again == first
    after = read_files(tmp_path / "parts")
    assert after.keys() == before.keys()
    assert after[f"{shard.name}.json"] == before[f"{shard.name}.json"]
    assert len(before[f"{shard.name}.json"]) < 300


def test_a_shard_that_fails_leaves_nothing(order: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("geo2map.ledger.part.part_content", fail)
    with pytest.raises(OutputError):
        render_shard(order, next(order.shards()), tmp_path / "parts")
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["job.json"]


def test_missing_shards_are_counted(order: JobFile, tmp_path: Path) -> None:
    shards = list(order.shards())
    render_shard(order, shards[0], tmp_path / "parts")
    with pytest.raises(OutputError, match=f"{len(shards) - 1} of {len(shards)} shards are missing"):
        merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")
    assert not (tmp_path / "m.pmtiles").exists()
    with pytest.raises(PlanError, match="not a folder of parts"):
        merge_parts(tmp_path, tmp_path / "m.pmtiles")


def test_a_damaged_part_is_found(order: JobFile, tmp_path: Path) -> None:
    import sqlite3

    render_all(order, tmp_path / "parts")
    shard = next(order.shards())
    with sqlite3.connect(tmp_path / "parts" / f"{shard.name}.part") as db:
        db.execute("UPDATE data SET data = x'00' WHERE rowid = 1")
    with pytest.raises(Geo2MapError, match="not what its record states"):
        merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")


def test_parts_of_two_jobs_do_not_mix(scene: Path, order: JobFile, tmp_path: Path) -> None:
    render_all(order, tmp_path / "parts")
    other = plan_job(scene, model=None, card=CARD, shard_zoom=16, **CUT | {"resampling": "nearest"})
    with pytest.raises(OutputError, match="another job"):
        render_shard(other, next(other.shards()), tmp_path / "parts")
    path = tmp_path / "parts" / f"{next(order.shards()).name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": other.fingerprint}))
    with pytest.raises(OutputError, match="is of job"):
        merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")


def test_another_scene_under_the_name_is_refused(scene: Path, order: JobFile, tmp_path: Path) -> None:
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(dataset.read()[:, ::-1])
    with pytest.raises(PlanError, match=r"would make other tiles.*s\.tif"):
        render_shard(order, next(order.shards()), tmp_path / "parts")


def test_slices_share_the_shards_out(order: JobFile, tmp_path: Path) -> None:
    done = [[record.shard for record in render_slice(order, number, 3, tmp_path / "parts")] for number in (1, 2, 3)]
    assert sorted(name for names in done for name in names) == sorted(shard.name for shard in order.shards())
    with pytest.raises(PlanError, match="1 to 3"):
        next(render_slice(order, 4, 3, tmp_path / "parts"))


def test_a_stopped_merge_goes_on(order: JobFile, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        if stage == "parts" and done == 2:
            raise KeyboardInterrupt

    render_all(order, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles", progress=stop)
    merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")
    merge_parts(tmp_path / "parts", tmp_path / "once.pmtiles")
    assert (tmp_path / "m.pmtiles").read_bytes() == (tmp_path / "once.pmtiles").read_bytes()
    before = stamps(tmp_path)
    assert merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles").complete
    assert stamps(tmp_path) == before
    assert not merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles", options=OutputOptions(overwrite=True)).complete


def test_parts_are_merged_as_the_last_job_presents_them(scene: Path, order: JobFile, tmp_path: Path) -> None:
    """What lies beside the tiles may change without a part being rendered again."""
    other = plan_job(scene, model=None, card=CARD, shard_zoom=16, **CUT, address="https://maps.example/town")
    render_all(order, tmp_path / "parts")
    before = stamps(tmp_path / "parts")
    render_all(other, tmp_path / "parts")
    parts = {name: stamp for name, stamp in before.items() if name.endswith(".part")}
    assert parts
    assert {name: stamp for name, stamp in stamps(tmp_path / "parts").items() if name.endswith(".part")} == parts
    merge_parts(tmp_path / "parts", tmp_path / "tiles")
    assert "https://maps.example/town" in (tmp_path / "tiles" / "tiles.xml").read_text()
    assert check(tmp_path / "tiles").ok


def test_mixed_devices_are_reported(order: JobFile, tmp_path: Path) -> None:
    render_all(order, tmp_path / "parts")
    path = tmp_path / "parts" / f"{next(order.shards()).name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "device": "cuda A"}))
    report = merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")
    assert "1 on cuda A" in report.notes[0]


def test_summary_and_lists(scene: Path, order: JobFile, tmp_path: Path) -> None:
    found = summarise(order)
    assert found.shards == len(list(order.shards()))
    assert found.bytes is not None
    assert re.search(r"KiB, \d+ seconds? on one machine like this", str(found))
    assert str(replace(found, shards=1, tiles=1, bytes=3 * 2**30, seconds=9000.0)).startswith("1 shard, ")
    assert "at most 1 tile, about 3.0 GiB, 2.5 hours" in str(replace(found, tiles=1, bytes=3 * 2**30, seconds=9000.0))
    (tmp_path / "list.txt").write_text("# all of them\ns.tif\n\n")
    assert select_scenes(tmp_path / "list.txt").full_paths == [str(scene.resolve())]


def test_commands(scene: Path, tmp_path: Path) -> None:
    """What a user may say, and what is refused at once."""
    run, job, parts = CliRunner(), str(tmp_path / "c.job.json"), str(tmp_path / "parts")
    done = run.invoke(cli, ["plan", str(scene), "--out", job, "--no-measure", "--device", "cuda"])
    assert done.exit_code == 0, done.output
    assert "1 shard, 1 block" in done.output
    assert JobFile.read(job).job.device == "cuda"
    for wrong, word in (
        (["render", "--job", job, "--shard", "9-9", "--out", parts], "17/512"),
        (["render", "--job", job, "--shard", "1/2", "--zoom", "17", "--out", parts], "leave out --zoom"),
        (["render", str(scene), "--shard", "1/2", "--out", parts], "--job"),
        (["render", "--out", parts], "SCENES"),
    ):
        refused = run.invoke(cli, wrong)
        assert refused.exit_code == 2
        assert word in refused.output


@pytest.mark.slow
def test_an_array_of_jobs_draws_the_map_of_one_process(scene: Path, tmp_path: Path) -> None:
    """With the packaged model, as the documentation says it."""
    run, job, parts = CliRunner(), str(tmp_path / "c.job.json"), str(tmp_path / "parts")
    common = [str(scene), "--device", "cpu", "--threads", "1", "--bounds", "-73.9331,40.735,-73.928,40.738"]
    commands = [
        ["plan", *common, "--out", job, "--shard-zoom", "15"],
        *(["render", "--job", job, "--shard", f"{number}/2", "--out", parts, "--json"] for number in (1, 2)),
        ["merge", parts, "--out", str(tmp_path / "m.pmtiles")],
        ["render", *common, "--out", str(tmp_path / "w.pmtiles")],
    ]
    for command in commands:
        done = run.invoke(cli, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "m.pmtiles").read_bytes() == (tmp_path / "w.pmtiles").read_bytes()
