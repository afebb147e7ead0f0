"""Wrong usage, which the command line alone shows, exits with 2; what is wrong with files or this machine, with 1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from geo2map_cli.main import COMMANDS, cli
from geo2map_cli.reporting import flag_of

RENDER = ("render", "SCENE", "--out")

Run = Callable[[tuple[object, ...]], Any]


@pytest.fixture
def run(geo2map: Callable[..., Any], small_scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, with a scene for SCENE."""
    monkeypatch.chdir(tmp_path)
    return lambda command: geo2map(*(small_scene if word == "SCENE" else word for word in command))


@pytest.mark.parametrize(
    "command",
    [
        (*RENDER, "map", "--format", "png", "--quality", 5),
        (*RENDER, "map", "--format", "webp", "--lossless", "--quality", 5),
        (*RENDER, "map", "--format", "jpeg", "--lossless"),
        (*RENDER, "map", "--classes", "--palette", "maps"),
        (*RENDER, "map", "--palette", "maps", "--format", "webp"),
        (*RENDER, "map.tif", "--classes", "--compress", "webp"),
        (*RENDER, "map", "--compress", "zstd"),
        (*RENDER, "map", "--grid", "scene"),
        (*RENDER, "map.tif", "--format", "webp"),
        (*RENDER, "map.tif", "--quality", 5, "--format", "webp"),
        (*RENDER, "map.tif", "--address", "https://maps.example/town"),
        (*RENDER, "map", "--address", "nowhere"),
        (*RENDER, "map.pmtiles", "--scheme", "tms"),
        (*RENDER, "maps", "--each", "--geotiff", "--scheme", "tms"),
        (*RENDER, "map", "--tmp", "elsewhere"),
        (*RENDER, "map", "--clip"),
        (*RENDER, "map", "--block-span", 3),
        (*RENDER, "map", "--stretch", "nonsense"),
        (*RENDER, "map", "--on-error", "skip", "--dask", "local:2"),
        (*RENDER, "map", "--dask", "nonsense"),
        (*RENDER, "map", "--dask", "local:none"),
        (*RENDER, "map", "--geotiff"),
        (*RENDER, "map", "--update", "--zoom", 3),
        (*RENDER, "map", "--shard", "1/2"),
        ("convert", "SCENE", "map.pmtiles", "--compress", "zstd"),
        ("convert", "SCENE", "map.tif", "--format", "webp"),
        ("models", "average", "sat2map", "sat2map", "--out", "m.safetensors", "--shares", "1"),
        ("models", "average", "sat2map", "--out", "m.safetensors"),
        ("pairs", "SCENE", "--map", "SCENE", "--zoom", 17, "--out", "pairs", "--split", "0,0,0"),
        ("train", "SCENE", "--out", "m.safetensors", "--steps", 5, "--epochs", 3),
        ("train", "SCENE", "--out", "m.safetensors", "--early"),
        ("view", "SCENE", "--token", "short"),
        ("serve", "SCENE", "--address", "nowhere"),
        ("evaluate", "--data", "SCENE", "--json", "--markdown"),
    ],
    ids=lambda command: " ".join(map(str, command)),
)
def test_wrong_usage_exits_with_2(command: tuple[object, ...], run: Run, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run(command)
    assert (result.code, result.out) == (2, ""), result.err
    assert "Traceback" not in result.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        ("render", "missing.tif", "--out", "map"),
        (*RENDER, "map", "--model", "missing"),
        (*RENDER, "map.gif"),
        ("convert", "missing", "map.pmtiles"),
        ("view", "missing"),
        ("merge", "missing", "--out", "map"),
        (*RENDER, "", "--each"),
        ("demo", "--out", ""),
    ],
)
def test_what_is_missing_exits_with_1(command: tuple[object, ...], run: Run) -> None:
    result = run(command)
    assert (result.code, result.out) == (1, "")


def test_a_log_file_that_cannot_be_is_one_sentence(
    geo2map: Callable[..., Any], small_scene: Path, tmp_path: Path
) -> None:
    result = geo2map("info", small_scene, "--log-file", tmp_path / "missing" / "log.txt")
    assert result.code == 1
    assert "its folder does not exist; choose another path" in result.err
    assert "Errno" not in result.err


def test_the_help_lists_options_by_group(geo2map: Callable[..., Any]) -> None:
    """Every option once, under one title, those of all commands last."""
    shown = geo2map("render", "--help").out
    titles = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == [
        *("Options:", "Many machines:", "Model and machine:", "Input:", "Area, zoom and colours:"),
        *("Output format:", "Output:", "Other options:"),
    ]
    for option in ("--zoom", "--feather", "--device", "--quality", "--resume", "--on-error", "--log-file", "--help"):
        assert len(re.findall(rf"^  (-\w, )?{option}\b", shown, re.MULTILINE)) == 1, option
    assert shown.index("--on-error") < shown.index("Other options:") < shown.index("--help")


def test_no_help_begins_with_a_genitive() -> None:
    """ "Tile format.", not "Of the tiles."."""
    for command in _all_commands():
        for option in command.params:
            assert not re.match(r"(Of|Under|Between|What|Whose) ", getattr(option, "help", "") or ""), option


def _all_commands() -> Iterator[click.Command]:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from command.commands.values()


def test_errors_spell_options_as_the_help_does(run: Run, tmp_path: Path) -> None:
    """Where Python has another name for an option that may be repeated, too."""
    spelled = {option: flag_of(option) for option in ("layers", "on_error")}
    assert spelled == {"layers": "--layer", "on_error": "--on-error"}
    opts = {name for option in cli.get_command(click.Context(cli), "render").params for name in option.opts}
    assert set(spelled.values()) <= opts
    result = run(("render", tmp_path / "none.tif", "--out", tmp_path / "t", "--layer", "heights"))
    assert "(--layer)" in result.err
