"""Wrong usage, which the command line alone shows, exits with 2; what is wrong with files or this machine, with 1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from geo2map_cli.gathering import ExpertOption
from geo2map_cli.main import COMMANDS, LazyGroup, cli
from geo2map_cli.reporting import flag_of, show_notes
from PIL import Image

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
        (*RENDER, "maps", "--each", "--suffix", ".tif", "--scheme", "tms"),
        (*RENDER, "maps", "--each", "--suffix", "gif"),
        (*RENDER, "map", "--tmp", "elsewhere"),
        (*RENDER, "map", "--clip"),
        (*RENDER, "map", "--block-span", 3),
        (*RENDER, "map", "--stretch", "nonsense"),
        (*RENDER, "map", "--on-error", "skip", "--dask", "local:2"),
        (*RENDER, "map", "--dask", "nonsense"),
        (*RENDER, "map", "--dask", "local:none"),
        (*RENDER, "map", "--suffix", ".tif"),
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


TITLES = ["Options", "Input", "Area", "Model", "Recipe", "Server", "Output", "Machine", "Run"]


def titles(shown: str) -> list[str]:
    return [line.rstrip(":") for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]


def count(option: str, shown: str) -> int:
    return len(re.findall(rf"^  (-\w, )?{option}\b(?!-)", shown, re.MULTILINE))


def test_the_help_of_render_fits_a_screen_and_a_half(geo2map: Callable[..., Any]) -> None:
    """Every option once, under one title, those of all commands last; what few need in --help-all only."""
    shown, everything = geo2map("render", "--help").out, geo2map("render", "--help-all").out
    assert len(shown.splitlines()) <= 60
    assert titles(shown) == titles(everything) == ["Input", "Area", "Model", "Output", "Machine", "Run"]
    for option in ("--zoom", "--device", "--model", "--out", "--on-error", "--json", "--help", "--help-all"):
        assert count(option, shown) == count(option, everything) == 1, option
    for option in ("--feather", "--quality", "--log-file", "--shard", "--margin"):
        assert (count(option, shown), count(option, everything)) == (0, 1), option
    assert everything.index("--on-error") > everything.index("Run:")
    assert shown == geo2map("render", "-h").out


def test_the_help_hides_what_it_says_it_hides() -> None:
    for command in _all_commands():
        if isinstance(command, click.Group):
            continue
        with click.Context(cli) as above, click.Context(command, parent=above, info_name=command.name) as context:
            shown = command.get_help(context)
        assert titles(shown) == [title for title in TITLES if title in titles(shown)], command.name
        options = [option for option in command.params if isinstance(option, click.Option)]
        hidden = [option for option in options if count(option.opts[0], shown) == 0]
        assert all(isinstance(option, ExpertOption) for option in hidden), command.name
        assert (f"Show {len(hidden)} more option" in shown) == bool(hidden), command.name


def test_commands_come_in_the_order_in_which_people_meet_them(geo2map: Callable[..., Any]) -> None:
    shown = geo2map("--help").out
    assert titles(shown)[1:] == ["Commands", "Many machines", "Training", "Single steps"]
    places = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert list(COMMANDS)[:4] == ["demo", "info", "preview", "render"]


def test_out_has_a_short_name_everywhere() -> None:
    for command in _all_commands():
        for option in command.params:
            if isinstance(option, click.Option) and "--out" in option.opts:
                assert "-o" in option.opts, command.name


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_warnings_stand_out_on_a_terminal_unless_told_otherwise(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a terminal gets: `color=True` is what click takes one for."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    @click.command("note")
    def note() -> None:
        show_notes(["plain", "town.tif: warning: dark"])

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: note)
    monkeypatch.setitem(COMMANDS, "note", "")
    told = CliRunner().invoke(cli, ["note"], color=True)
    assert "plain\n" in told.stderr
    assert ("\x1b[33m\x1b[1mwarning:\x1b[0m dark" in told.stderr) == coloured
    assert "warning:" in told.stderr


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
    (tmp_path / "foreign" / "0" / "0").mkdir(parents=True)
    Image.new("RGB", (256, 256)).save(tmp_path / "foreign" / "0" / "0" / "0.png")
    result = run(("convert", tmp_path / "foreign", tmp_path / "town.gpkg"))
    assert "does not say which colour is which class" in result.err
    assert "(--palette)" in result.err
