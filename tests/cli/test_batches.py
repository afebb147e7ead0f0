"""Batches that are run again: what is finished stays untouched, what is missing is made, what differs is refused."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio.shutil
from PIL import Image

from geo2map import engine as geo2map_engine
from geo2map.api import jobs
from geo2map.api.rendering import render_request
from geo2map.ledger.finished_record import journal_path

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]
NAMES = ("houses_0.3m", "town.v2", "plain")
CONTAINERS = ["map", "v1.2/", "map.tif", "map.mbtiles", "map.pmtiles"]


def stamps(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each file below a folder was written, and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def names_in(folder: Path) -> list[str]:
    """The outputs of a batch."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != "." and path.name != "report.csv")


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def scenes(write_scene: SceneWriter) -> list[Path]:
    """Three scenes of one tile or four, two with dots in their names."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 90, 90), dtype=np.uint8)
    return [write_scene(f"{name}.tif", pixels) for name in NAMES]


@pytest.fixture
def without_engines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called on, no model can be loaded."""

    def forbid() -> None:
        def fail(*_: object, **__: object) -> None:
            raise AssertionError("a model was loaded")

        monkeypatch.setattr("geo2map.engine.load_engine", fail)

    return forbid


@pytest.mark.parametrize("suffix", ["", ".tif", ".pmtiles"])
def test_a_finished_batch_is_left_as_it_is(
    suffix: str,
    geo2map: Command,
    scenes: list[Path],
    tiny_model: Path,
    tmp_path: Path,
    without_engines: Callable[[], None],
) -> None:
    more = ("--suffix", suffix) if suffix else ()
    command = ("render", *scenes, "--each", *more, "--out", tmp_path / "maps", "--model", tiny_model)
    first = geo2map(*command)
    assert first.code == 0, first.err
    table = tmp_path / "maps" / "report.csv"
    assert f"3 rendered; {table} lists them" in first.err
    made = {path.name for path in (tmp_path / "maps").iterdir() if not path.name.startswith(".")}
    assert made == {*(f"{name}{suffix}" for name in NAMES), "report.csv"}
    before = stamps(tmp_path)
    without_engines()
    again = geo2map(*command)
    assert (again.code, again.out.splitlines()) == (0, [f"{name}: complete" for name in NAMES])
    assert f"3 done before; {table} lists them" in again.err
    reports = [json.loads(line) for line in geo2map(*command, "--json").out.splitlines()]
    assert [(report["name"], report["state"], report["complete"], report["error"]) for report in reports] == [
        (name, "finished", True, None) for name in NAMES
    ]
    assert stamps(tmp_path) == before


def test_a_batch_loads_one_model(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    load = geo2map_engine.load_engine
    monkeypatch.setattr(geo2map_engine, "load_engine", lambda *args, **rest: loaded.append(args) or load(*args, **rest))
    assert geo2map("render", *scenes, "--each", "-o", tmp_path / "maps", "--model", tiny_model).code == 0
    assert len(loaded) == 1


def test_a_table_of_somebody_else_is_left(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "report.csv"
    table.write_text("street,number\n", encoding="utf-8")
    result = geo2map("render", *scenes, "--each", "-o", tmp_path, "--model", tiny_model)
    assert (result.code, table.read_text(encoding="utf-8")) == (1, "street,number\n")
    assert "not a report of geo2map; rename it" in result.err
    assert not list(tmp_path.glob("*/17"))


def test_a_cluster_takes_the_scenes_one_by_one(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask = pytest.importorskip("geo2map.cluster.dask")
    sent: list[tuple[str, object]] = []

    def dispatch(request: Any, cluster: object, **rest: Any) -> Any:
        sent.append((Path(request.out).name, cluster))
        return render_request(request, **rest)

    monkeypatch.setattr(dask, "dispatch_request", dispatch)
    command = ("render", *scenes, "--each", "--suffix", ".mbtiles", "-o", tmp_path / "maps", "--model", tiny_model)
    result = geo2map(*command, "--dask", "local:2")
    assert result.code == 0, result.err
    assert sent == [(f"{name}.mbtiles", "local:2") for name in NAMES]
    assert names_in(tmp_path / "maps") == sorted(f"{name}.mbtiles" for name in NAMES)


def test_each_scene_is_a_line_of_json_as_it_ends(
    geo2map: Command,
    scenes: list[Path],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the next one begins; one that fails is a line, too, and said to people as well."""
    said: list[tuple[str, list[str]]] = []
    lines: list[str] = []

    def render(request: Any, **rest: Any) -> Any:
        said.append((request.scenes.name, [json.loads(line)["name"] for line in lines]))
        return render_request(request, **rest)

    echo = click.echo
    monkeypatch.setattr("geo2map.api.rendering.render_request", render)
    monkeypatch.setattr(click, "echo", lambda text, err=False: (err or lines.append(text), echo(text, err=err)))
    scenes[1].write_bytes(scenes[1].read_bytes()[:500])
    result = geo2map("render", *scenes, "--each", "--out", tmp_path / "maps", "--model", tiny_model, "--json")
    assert said == [(name, list(NAMES[:number])) for number, name in enumerate(NAMES)]
    first, broken, last = (json.loads(line) for line in result.out.splitlines())
    assert (result.code, "town.v2: failed: " in result.err) == (1, True)
    assert (broken["name"], broken["state"], broken["bounds"]) == ("town.v2", "failed", None)
    assert broken["error"] in result.err
    rows = {row["scene"]: row for row in read_table(tmp_path / "maps" / "report.csv")}
    for report in (first, last):
        row = rows[report["name"]]
        assert (report["state"], report["error"], report["layers"]) == (row["state"], None, [row["layers"]])
        assert (Path(report["path"]), report["path"][-1]) == (tmp_path / "maps" / report["name"], "/")
        assert (str(report["minzoom"]), str(report["maxzoom"])) == (row["minzoom"], row["maxzoom"])
        assert report["bounds"] == pytest.approx([float(row[edge]) for edge in ("west", "south", "east", "north")])
        assert report["seconds"]["total"] > 0
    assert rows["town.v2"]["state"] == broken["state"]


@pytest.mark.slow
def test_a_damaged_scene_does_not_stop_the_others_and_is_named_at_the_end(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    data = scenes[1].read_bytes()
    scenes[1].write_bytes(data[:500])
    command = ("render", *scenes, "--each", "--out", tmp_path / "maps", "--model", tiny_model)
    for _ in range(2):
        result = geo2map(*command)
        *_, again, summary = result.err.splitlines()
        assert (result.code, summary) == (1, "Error: 1 of 3 scenes failed: town.v2")
        assert again.startswith("town.v2: failed: ")
        assert names_in(tmp_path / "maps") == ["houses_0.3m", "plain"]
        rows = {row["scene"]: row for row in read_table(tmp_path / "maps" / "report.csv")}
        assert {name: row["state"] for name, row in rows.items()} == {
            **dict.fromkeys(NAMES, "finished"),
            "town.v2": "failed",
        }
        assert rows["town.v2"]["error"] in again
        assert (rows["plain"]["output"], rows["plain"]["maxzoom"], rows["plain"]["error"]) == ("plain", "17", "")
        assert float(rows["plain"]["west"]) < float(rows["plain"]["east"])
    before = stamps(tmp_path / "maps" / "plain")
    scenes[1].write_bytes(data)
    assert geo2map(*command).code == 0
    assert names_in(tmp_path / "maps") == sorted(NAMES)
    assert {row["state"] for row in read_table(tmp_path / "maps" / "report.csv")} == {"finished"}
    assert stamps(tmp_path / "maps" / "plain") == before


@pytest.mark.parametrize("out", CONTAINERS)
def test_every_container_is_complete(
    out: str,
    geo2map: Command,
    scenes: list[Path],
    tiny_model: Path,
    tmp_path: Path,
    without_engines: Callable[[], None],
) -> None:
    command = ("render", scenes[0], "--out", f"{tmp_path}/{out}", "--model", tiny_model)
    assert geo2map(*command).code == 0
    before = stamps(tmp_path)
    without_engines()
    again = geo2map(*command)
    assert (again.code, again.out) == (0, "houses_0.3m: complete\n")
    assert f"{tmp_path}/{out.rstrip('/')}: " in again.err
    update = geo2map(*command[:2], "--update", *command[2:])
    assert (update.code, update.out) == (0, "houses_0.3m: complete\n")
    assert stamps(tmp_path) == before


OPTIONED = [("map.tif", "--grid", "scene"), ("map.tif", "--compress", "zstd"), ("map", "--bare")]


@pytest.mark.parametrize("options", OPTIONED)
def test_so_it_is_with_options(
    options: tuple[str, ...], geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", scenes[2], "--model", tiny_model, "--out", tmp_path / options[0])
    assert geo2map(*command, *options[1:]).code == 0
    before = stamps(tmp_path)
    assert geo2map(*command, *options[1:]).out == "plain: complete\n"
    other = geo2map(*command)
    assert (other.code, other.out) == (1, "")
    assert f"{options[1].strip('-')} " in other.err
    assert "exists already (rendered by another job: " in other.err
    assert stamps(tmp_path) == before


@pytest.mark.parametrize("command", ["tile", "render"])
def test_another_job_is_refused_and_says_what_differs(
    command: str, geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    asked = (command, scenes[2], "--out", tmp_path / "map", "--model", tiny_model)
    assert geo2map(*asked).code == 0
    before = stamps(tmp_path / "map")
    for options, said in (
        (("--zoom", 16), "zoom was 17 and is 16"),
        (("--resampling", "nearest"), "resampling was cubic and is nearest"),
        (("--minzoom", 15), "minzoom was"),
    ):
        result = geo2map(*asked, *options)
        assert (result.code, result.err.count("\n")) == (1, 1)
        assert said in result.err
        assert "(--overwrite)" in result.err
    scenes[2].write_bytes(scenes[0].read_bytes() + b" ")
    changed = geo2map(*asked)
    assert (changed.code, "plain.tif changed" in changed.err) == (1, True)
    assert stamps(tmp_path / "map") == before
    assert geo2map(*asked, "--overwrite").code == 0


def test_an_output_that_lost_something_is_not_complete(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    folder, file = tmp_path / "map", tmp_path / "map.pmtiles"
    commands = [("render", scenes[2], "--out", out, "--model", tiny_model) for out in (folder, file)]
    assert [geo2map(*command).code for command in commands] == [0, 0]
    shutil.rmtree(next((folder / "17").iterdir()))
    file.write_bytes(file.read_bytes()[:-10])
    lost, cut = (geo2map(*command) for command in commands)
    assert (lost.code, cut.code) == (1, 1)
    assert "damaged: tile 17/" in lost.err
    assert " bytes instead of " in cut.err


def test_a_refusal_in_a_batch_names_the_option_and_the_mending(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", *scenes[1:], "--each", "--out", tmp_path / "maps", "--model", tiny_model)
    assert geo2map(*command).code == 0
    shutil.rmtree(tmp_path / "maps" / "plain" / "17")
    lost = geo2map(*command)
    assert (lost.code, lost.out) == (1, "town.v2: complete\n")
    said = next(line for line in lost.err.splitlines() if line.startswith("plain: failed: "))
    assert f"geo2map check {tmp_path / 'maps' / 'plain'} lists the differences and can repair them" in said
    assert said.endswith(" (--overwrite)")


def test_a_set_with_another_scene_is_named_by_what_differs(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    out, options = tmp_path / "map", ("--model", tiny_model, "--out", tmp_path / "map")
    assert geo2map("tile", scenes[0], "--out", out, "--model", tiny_model).code == 0
    more = geo2map("tile", *scenes[:2], *options)
    assert f"rendered by another job: {scenes[1]} was added" in more.err
    assert geo2map("tile", *scenes[:2], *options, "--overwrite").code == 0
    fewer = geo2map("tile", scenes[0], *options)
    assert f"rendered by another job: {scenes[1]} was removed" in fewer.err


def _spoil_sqlite(statement: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)

    return spoil


def _overwrite_bytes(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x5a" * 200)


def _swap_tile(path: Path) -> None:
    Image.new("RGB", (256, 256), "red").save(next((path / "17").rglob("*.png")))


SPOILT = [
    (
        "map.mbtiles",
        _spoil_sqlite("DELETE FROM map WHERE zoom_level = 16"),
        "its content differs from what was written",
    ),
    ("map.mbtiles", _spoil_sqlite("UPDATE images SET tile_data = zeroblob(length(tile_data))"), "its content"),
    ("map.mbtiles", _spoil_sqlite("PRAGMA user_version = 7"), "its content"),
    ("map", _swap_tile, "tile 17/"),
    ("map.tif", _overwrite_bytes, "its content"),
]


@pytest.mark.parametrize(("out", "spoil", "said"), SPOILT)
def test_an_output_of_the_same_size_with_other_content_is_not_complete(
    out: str,
    spoil: Callable[[Path], None],
    said: str,
    geo2map: Command,
    scenes: list[Path],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    made, copied = tmp_path / out, tmp_path / f"copied{Path(out).suffix}"
    command = ("tile" if out == "map" else "render", scenes[2], "--model", tiny_model, "--minzoom", 16, "--out")
    assert geo2map(*command, made).code == 0
    if made.is_file():  # a copy is as complete as the first
        shutil.copyfile(made, copied)
        shutil.copyfile(journal_path(made), journal_path(copied))
        assert geo2map(*command, copied).out == "plain: complete\n"
    spoil(made)
    again = geo2map(*command, made)
    assert (again.code, again.out) == (1, "")
    assert f"damaged: {said}" in again.err
    assert f"geo2map check {made} lists the differences" in again.err
    assert geo2map("check", made).code == 1
    if out == "map":
        return
    assert geo2map("check", made, "--repair", "--model", tiny_model).code == 0
    assert geo2map(*command, made).out == "plain: complete\n"
    assert made.read_bytes() == copied.read_bytes()


def test_a_conversion_of_the_same_size_with_other_content_is_not_complete(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    tiles = tmp_path / "tiles"
    assert geo2map("tile", scenes[2], "--out", tiles, "--model", tiny_model).code == 0
    for out, spoil in ((tmp_path / "map.pmtiles", _overwrite_bytes), (tmp_path / "folder", _swap_tile)):
        assert geo2map("convert", tiles, out).code == 0
        spoil(out)
        again = geo2map("convert", tiles, out)
        assert (again.code, "damaged: its content differs from what was written" in again.err) == (1, True)


def test_a_record_without_a_digest_is_believed_by_size(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    """Earlier versions kept none."""
    out = tmp_path / "map.pmtiles"
    command = ("render", scenes[2], "--out", out, "--model", tiny_model)
    assert geo2map(*command).code == 0
    _spoil_sqlite("DELETE FROM meta WHERE key = 'content'")(journal_path(out))
    assert geo2map(*command).out == "plain: complete\n"


def test_a_file_without_a_record_is_refused(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", scenes[2], "--out", tmp_path / "map.tif", "--model", tiny_model)
    assert geo2map(*command, "--bare").code == 0
    assert not journal_path(tmp_path / "map.tif").exists()
    again = geo2map(*command, "--bare")
    assert (again.code, "without a record of how it was made" in again.err) == (1, True)


def test_newer_libraries_leave_what_is_finished(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("render", scenes[2], "--out", tmp_path / "map", "--model", tiny_model)
    assert geo2map(*command).code == 0
    before, found = stamps(tmp_path / "map"), jobs.library_versions(True)
    monkeypatch.setattr(jobs, "library_versions", lambda translating: {**found, "numpy": "99.0"})  # noqa: ARG005
    again = geo2map(*command)
    assert again.code == 0
    assert again.out == (
        f"plain: complete (rendered with numpy {found['numpy']}, now 99.0: overwrite to render again)\n"
    )
    assert stamps(tmp_path / "map") == before


def test_conversions_are_complete_or_say_what_differs(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    tiles, archive, raster = tmp_path / "tiles", tmp_path / "map.pmtiles", tmp_path / "map.tif"
    assert geo2map("tile", scenes[2], "--out", tiles, "--model", tiny_model).code == 0
    commands = [("convert", tiles, archive), ("convert", tiles, tmp_path / "v0.1"), ("mosaic", tiles, "--out", raster)]
    assert [geo2map(*command).code for command in commands] == [0, 0, 0]
    before = stamps(tmp_path)
    for command in commands:
        again = geo2map(*command)
        assert (again.code, again.out.endswith(": complete\n")) == (0, True)
        assert json.loads(geo2map(*command, "--json").out)["complete"]
    other = geo2map("convert", tiles, archive, "--zoom", 17)
    assert (other.code, "zooms was not set and is [17, 17]" in other.err) == (1, True)
    assert geo2map("mosaic", tiles, "--out", raster, "--compress", "zstd").code == 1
    assert stamps(tmp_path) == before
    next(tiles.rglob("*.png")).touch()
    changed = geo2map("convert", tiles, archive)
    assert (changed.code, "has changed since" in changed.err) == (1, True)


def test_one_name_twice_is_refused_before_the_work(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_scene(f"{folder}/town.tif")
    pattern = f"{tmp_path}/*/town.tif"
    result = geo2map("render", pattern, "--each", "--out", tmp_path / "maps", "--model", tiny_model)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "would both become" in result.err
    assert not (tmp_path / "maps").exists()


@pytest.mark.slow
def test_notes_come_before_the_work_and_once(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    one = geo2map("render", scenes[2], "--out", tmp_path / "one", "--model", tiny_model)
    assert sum("scale mismatch" in line for line in one.err.splitlines()) == 1
    assert one.err.splitlines()[-1] == (
        f"{tmp_path / 'one'}: drag {tmp_path / 'one' / 'plain.qlr'} into QGIS, or open "
        f"{tmp_path / 'one' / 'index.html'} in a browser"
    )
    each = geo2map("render", *scenes, "--each", "--suffix", ".tif", "--out", tmp_path / "maps", "--model", tiny_model)
    assert [line.split(": ")[0] for line in each.err.splitlines() if "scale mismatch" in line] == list(NAMES)
    assert each.err.splitlines()[-1] == f"{tmp_path / 'maps' / 'houses_0.3m.tif'}: drag it into QGIS"
    as_json = geo2map("render", scenes[2], "--out", tmp_path / "two", "--model", tiny_model, "--json")
    assert as_json.err.splitlines() == json.loads(as_json.out)["notes"]


def test_a_source_of_a_vrt_is_not_replaced(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    sheet = write_scene("sheet.tif")
    rasterio.shutil.copy(sheet, tmp_path / "all.vrt", driver="VRT")
    before = sheet.read_bytes()
    other = write_scene("other.tif")
    for scenes in ((tmp_path / "all.vrt",), (tmp_path / "all.vrt", other)):
        result = geo2map("render", *scenes, "--model", tiny_model, "--overwrite", "--out", sheet)
        assert (result.code, "is the scene itself" in result.err) == (1, True)
        assert sheet.read_bytes() == before


def test_one_scene_spelled_twice_is_one(
    geo2map: Command, scenes: list[Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = geo2map("render", "plain.tif", scenes[2], "--each", "--out", "maps", "--model", tiny_model)
    assert (result.code, result.out.count("\n")) == (0, 1), result.err
