"""What a person is used to: --json, --dry-run, --each, -v, logs, bars, Ctrl-C, a help that answers at once."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import rasterio
from geo2map_cli.main import COMMANDS
from geo2map_cli.progress import Bar

from geo2map.plan import Plan
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.tilejson import TileSet

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]
MODULE = (sys.executable, "-m", "geo2map_cli")


@pytest.fixture
def cornered_scene(write_scene: SceneWriter) -> Path:
    """Noise of 900 x 700 px; the north-west half is nodata, and so are whole tiles."""
    rows, columns = np.mgrid[:700, :900]
    pixels = np.random.default_rng(1).integers(1, 255, (3, 700, 900), dtype=np.uint8)
    return write_scene("cornered.tif", pixels * (rows / 700 + columns / 900 > 1), nodata=0)


# --json


@pytest.mark.parametrize("out", ["tiles", "map.tif"])
def test_json_is_all_there_is_on_stdout(
    out: str, geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = geo2map("render", small_scene, "--out", tmp_path / out, "--model", tiny_model, "--json")
    report = json.loads(result.out)
    assert (result.code, report["name"], report["maxzoom"], report["error"]) == (0, "small", 17, None)
    assert report["tiles"] == 4
    assert result.err.splitlines() == report["notes"]


def test_without_json_a_person_reads_one_line(
    geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = geo2map("render", small_scene, "--out", tmp_path / "tiles", "--model", tiny_model)
    assert re.fullmatch(r"small: 4 tiles at zoom 17, .* 1 block translated, 0 empty, [\d.]+ s\n", result.out)


def test_every_command_speaks_json(geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path) -> None:
    model = ("--model", tiny_model, "--json")
    tiles, map_tiles, look = tmp_path / "tiles", tmp_path / "map-tiles", tmp_path / 'a "good" look.png'
    raster = tmp_path / "map.tif"
    assert json.loads(geo2map("tile", small_scene, "--out", tiles, *model).out)["tiles"] == 4
    assert json.loads(geo2map("translate", tiles, "--out", map_tiles, *model).out)["tiles"] == 4
    assert json.loads(geo2map("mosaic", map_tiles, "--out", raster, "--json").out)["path"] == raster.as_posix()
    preview = geo2map("preview", small_scene, "--out", look, "--span", 1, *model)
    assert json.loads(preview.out) == {"path": look.as_posix()}
    assert look.exists()


def test_an_error_leaves_stdout_empty(geo2map: Command, tmp_path: Path) -> None:
    result = geo2map("render", tmp_path / "missing.tif", "--out", tmp_path / "tiles", "--json")
    assert (result.code, result.out) == (1, "")


# --dry-run


@pytest.mark.slow
@pytest.mark.parametrize("out", ["tiles", "map.tif"])
def test_a_dry_run_writes_nothing_and_comes_true(
    out: str, geo2map: Command, cornered_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", cornered_scene, "--out", tmp_path / out, "--model", tiny_model, "--block-span", 1, "--json")
    before = sorted(tmp_path.rglob("*"))
    promised = json.loads(geo2map(*command, "--dry-run").out)
    assert sorted(tmp_path.rglob("*")) == before

    done = json.loads(geo2map(*command).out)
    assert done["empty"] > 0
    assert promised["estimate"]["blocks"] == done["translated"]
    assert promised["estimate"]["tiles"]["17"] == done["tiles"]
    if out == "tiles":
        folder = XyzFolder(tmp_path / out)
        written = {str(zoom): len(list(folder.tiles(zoom))) for zoom in folder.zooms}
        assert promised["estimate"]["tiles"] == written


def test_the_plan_of_a_dry_run_is_the_plan_of_the_run(
    geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", small_scene, "--out", tmp_path / "tiles", "--model", tiny_model, "--json")
    promised = json.loads(geo2map(*command, "--dry-run").out)["plan"]
    plan = Plan.from_json(json.dumps(promised))
    assert json.loads(plan.to_json()) == promised
    geo2map(*command)
    tileset = TileSet.load(tmp_path / "tiles")
    assert tileset is not None
    assert tileset.extra["plan"] == plan.fingerprint
    assert tileset.window == plan.window


def test_a_dry_run_of_nothing_promises_nothing(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    scene = write_scene("void.tif", np.zeros((3, 300, 300), np.uint8), nodata=0)
    result = geo2map("render", scene, "--out", tmp_path / "tiles", "--model", tiny_model, "--dry-run", "--json")
    estimate = json.loads(result.out)["estimate"]
    assert (estimate["blocks"], estimate["bytes"], set(estimate["tiles"].values())) == (0, 0, {0})


@pytest.mark.slow
def test_a_dry_run_of_each_scene_is_one_json_document(
    geo2map: Command, small_scene: Path, cornered_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    scenes = (small_scene, cornered_scene)
    result = geo2map("render", *scenes, "--each", "--out", tmp_path, "--model", tiny_model, "--dry-run", "--json")
    assert [found["plan"]["name"] for found in json.loads(result.out)] == ["small", "cornered"]


# --each


def test_one_broken_scene_does_not_stop_the_rest(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    scenes = [write_scene("first.tif"), write_scene("broken.tif", crs=None), write_scene("last.tif")]
    out = tmp_path / "maps"
    result = geo2map("render", *scenes, "--each", "--out", out, "--model", tiny_model, "--json")
    assert result.code == 1
    assert result.err.splitlines()[-1].endswith("1 of 3 scenes failed: broken")
    reports = {report["name"]: report["error"] for report in map(json.loads, result.out.splitlines())}
    assert (reports["first"], reports["last"]) == (None, None)
    assert "no coordinate reference system" in reports["broken"]
    assert sorted(path.name for path in out.iterdir()) == ["first", "last", "report.csv"]
    assert len(list(XyzFolder(out / "last").tiles(17))) == 4


def test_each_as_geotiffs(geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path) -> None:
    scenes = [write_scene("first.tif"), write_scene("last.tif")]
    out = tmp_path / "maps"
    result = geo2map("render", *scenes, "--each", "--suffix", ".tif", "--out", out, "--model", tiny_model)
    assert result.code == 0
    assert sorted(path.name for path in out.iterdir() if path.name[0] != ".") == ["first.tif", "last.tif", "report.csv"]
    assert geo2map("render", scenes[0], "--suffix", ".tif", "--out", tmp_path / "x", "--model", tiny_model).code == 2


def test_a_person_reads_each_scenes_outcome(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    scenes = [write_scene("broken.tif", crs=None), write_scene("good.tif")]
    result = geo2map("render", *scenes, "--each", "--out", tmp_path / "maps", "--model", tiny_model)
    assert result.out.startswith("good: 4 tiles at zoom 17")
    assert "broken" not in result.out
    told = [line for line in result.err.splitlines() if line.startswith("broken: failed: ")]
    assert len(told) == 2, "when it happens, and in the closing summary"
    assert told[0] == told[1]
    assert told[0].endswith(" (--crs)")


def test_scenes_of_one_name_do_not_overwrite_each_other(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "north").mkdir()
    scenes = [write_scene("scene.tif"), write_scene("north/scene.tif")]
    result = geo2map("render", *scenes, "--each", "--out", tmp_path / "maps", "--model", tiny_model, "--overwrite")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"{scenes[0]} and {scenes[1]} would both become {tmp_path / 'maps' / 'scene'}" in result.err
    assert not (tmp_path / "maps").exists()


# -v, --log-file, bars


@pytest.mark.slow
def test_verbose_tells_what_happens(geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = ("render", small_scene, "--model", tiny_model, "--block-span", 1, "--out")
    quiet = geo2map(*command, tmp_path / "0").err
    told = geo2map(*command, tmp_path / "1", "-v").err
    everything = geo2map(*command, tmp_path / "2", "-vv").err
    assert "INFO" not in quiet
    assert " INFO running job " in told
    assert "DEBUG" not in told
    assert "DEBUG small: 4 of 4 blocks" in everything


def test_a_log_file_is_appended_to_and_keeps_errors(
    geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.log"
    command = ("render", small_scene, "--model", tiny_model, "--log-file", log, "--out", tmp_path / "tiles")
    first, second = geo2map(*command), geo2map(*command, "--bare")
    assert (first.code, second.code) == (0, 1)
    assert "INFO" not in first.err + second.err
    text = log.read_text(encoding="utf-8")
    assert text.index("INFO running job") < text.index("INFO small: 4 tiles") < text.index("failed: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_with_rate_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with Bar() as bar:
            for done in range(1, 4):
                bar("blocks", done, 3)
            bar("overviews", 1, 1)
        shown.append(stream.getvalue())
    assert "blocks" in shown[0]
    assert "block/s" in shown[0]
    assert "overviews" in shown[0]
    assert shown[1] == ""


def test_bars_follow_a_run_to_its_end(
    geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(Bar, "__call__", lambda _, stage, done, total: seen.append(f"{stage} {done}/{total}"))
    command = ("render", small_scene, "--model", tiny_model, "--block-span", 1, "--out")
    assert geo2map(*command, tmp_path / "tiles").code == 0
    assert geo2map(*command, tmp_path / "map.tif").code == 0
    zooms = XyzFolder(tmp_path / "tiles").zooms
    with rasterio.open(tmp_path / "map.tif") as dataset:  # its blocks, and those of its overviews
        rows, columns = -(-dataset.height // 256), -(-dataset.width // 256)
        sizes = [(-(-rows // factor), -(-columns // factor)) for factor in (1, *dataset.overviews(1))]
    counts = [rows * columns for rows, columns in sizes]
    levels = {f"writing zoom {max(zooms) - level} {count}/{count}" for level, count in enumerate(counts)}
    assert {"blocks 4/4", f"overviews {len(zooms) - 1}/{len(zooms) - 1}"} | levels <= set(seen)
    for stage in ("blocks", "overviews", "writing"):
        assert sum(step.startswith(f"{stage} ") for step in seen) >= 2


# Processes


def signalled(scene: Path, out: Path, number: signal.Signals) -> tuple[int, str, str]:
    """Sends a signal to a run in its midst: exit code, stdout, stderr."""
    command = [*MODULE, "render", scene, "--out", out, "--block-span", "1"]
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heard)
    try:
        deadline = time.monotonic() + 120
        while len(list(out.parent.rglob("*.png"))) < 9:  # more than may be on their way to the journal
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(number)
        stdout, stderr = child.communicate(timeout=60)
    finally:
        child.kill()
    return child.returncode, stdout, stderr.strip()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to another process")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly(
    number: signal.Signals, code: int, geo2map: Command, write_scene: SceneWriter, tmp_path: Path
) -> None:
    """What is done is kept beside the output, one line says how to go on, and `clean` throws it away."""
    scene = write_scene("large.tif", np.full((3, 2500, 2500), 99, np.uint8))
    out = tmp_path / "new" / "tiles"
    returned, stdout, stderr = signalled(scene, out, number)
    assert (returned, stdout) == (code, "")
    kept = re.fullmatch(
        rf"stopped; (\d+) of \d+ blocks of {re.escape(str(out))} are kept; run the same command again to resume, or "
        rf"delete them with: geo2map clean {re.escape(str(out))}",
        stderr.splitlines()[-1],
    )
    assert kept is not None, stderr
    assert int(kept[1]) > 0
    assert [path.name for path in out.parent.iterdir()] == [".tiles.partial"]
    assert geo2map("clean", out).out == f"{out}: deleted the partial results of an interrupted run\n"
    assert list(out.parent.iterdir()) == []
    again = geo2map("clean", out, tmp_path / "nowhere" / "tiles")
    assert (again.code, again.out.count("nothing to delete")) == (0, 2)


def test_help_answers_at_once() -> None:
    """Measured as processor time, so that a busy machine does not matter; the limit asked for is 0.2 s of clock."""
    resource = pytest.importorskip("resource", reason="measures processor time as POSIX does: not on Windows")
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*MODULE, "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "render" in done.stdout
    assert median(times) < 0.2


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from geo2map_cli.main import cli; cli.main(['--help'], standalone_mode=False);"
        "print({'torch', 'rasterio', 'numpy', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"models"}))
def test_every_command_has_help(command: str, geo2map: Command) -> None:
    result = geo2map(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"geo2map {command} [OPTIONS]" in result.out.splitlines()[0]


def test_the_version_is_the_packages(geo2map: Command) -> None:
    from geo2map import __version__

    assert geo2map("--version").out == f"geo2map, version {__version__}\n"


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([*MODULE, "mosaic", "no-such-folder", "--out", "map.tif"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("geo2map: no-such-folder: folder not found")
