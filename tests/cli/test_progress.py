"""What programs read: lines of JSON on stderr while a command works, and its report on stdout."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.main import COMMANDS, cli
from geo2map_cli.progress import ProgressLines

Command = Callable[..., Any]
LONG = {
    "demo",
    "render",
    "draw",
    "convert",
    "check",
    "merge",
    "pairs",
    "train",
    "evaluate",
    "tile",
    "translate",
    "mosaic",
}


def lines_of(err: str) -> list[dict[str, Any]]:
    """The objects among the lines; notes are plain text."""
    return [json.loads(line) for line in err.splitlines() if line.startswith("{")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_the_work_of_this_run(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the time before the first block nor the blocks of an earlier run count."""
    told = ProgressLines()
    clock[0] = 150.0
    told.begin("town", ["warning: dark"])
    told("resumed", 40, 100)
    for done, now in ((41, 152.0), (60, 190.0), (100, 270.0)):
        clock[0] = now
        told("blocks", done, 100)
    clock[0] = 271.0
    told("overviews", 1, 4)
    err = capsys.readouterr().err
    assert err.splitlines()[0] == "warning: dark"
    assert lines_of(err) == [
        {"stage": "resumed", "done": 40, "total": 100, "seconds_left": None},
        {"stage": "blocks", "done": 41, "total": 100, "seconds_left": 118.0},
        {"stage": "blocks", "done": 60, "total": 100, "seconds_left": 80.0},
        {"stage": "blocks", "done": 100, "total": 100, "seconds_left": 0.0},
        {"stage": "overviews", "done": 1, "total": 4, "seconds_left": 3.0},
    ]


def test_a_quick_stage_tells_its_beginning_and_its_end(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    told = ProgressLines()
    for done in range(1, 1001):
        clock[0] += 0.001
        told("tiles", done, 1000)
    assert [line["done"] for line in lines_of(capsys.readouterr().err)] == [1, 201, 401, 601, 801, 1000]


def test_every_long_command_has_it() -> None:
    commands = {name: cli.get_command(click.Context(cli), name) for name in COMMANDS}
    having = {
        name
        for name, command in commands.items()
        if isinstance(command, GroupedCommand) and any("--progress" in option.opts for option in command.params)
    }
    assert having == LONG


def test_a_run_tells_lines_and_reports_what_it_made(
    geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "map.pmtiles"
    command = ("render", small_scene, "-o", out, "--model", tiny_model, "--layer", "source")
    result = geo2map(*command, "--progress", "json", "--json")
    assert result.code == 0, result.err
    told = lines_of(result.err)
    assert all(set(line) == {"stage", "done", "total", "seconds_left"} for line in told)
    blocks = [line for line in told if line["stage"] == "blocks"]
    assert blocks[-1]["done"] == blocks[-1]["total"] > 0
    assert blocks[-1]["seconds_left"] == 0
    report = json.loads(result.out)
    assert (report["path"], report["layers"]) == (str(out), ["map", "source"])
    assert (report["minzoom"], report["maxzoom"]) == (15, 17)
    west, south, east, north = report["bounds"]
    assert west < east < west + 0.01
    assert south < north < south + 0.01
    again = json.loads(geo2map(*command, "--json").out)
    assert {key: again[key] for key in ("path", "bounds", "layers", "minzoom", "maxzoom", "complete")} == {
        **{key: report[key] for key in ("path", "bounds", "layers", "minzoom", "maxzoom")},
        "complete": True,
    }
    converted = json.loads(geo2map("convert", out, tmp_path / "tiles", "--json", "--progress", "none").out)
    assert converted["path"] == str(tmp_path / "tiles")
    assert {key: converted[key] for key in ("layers", "minzoom", "maxzoom")} == {
        key: report[key] for key in ("layers", "minzoom", "maxzoom")
    }
    assert converted["bounds"] == pytest.approx(report["bounds"], abs=1e-9)
