"""Wrong usage, which the command line alone shows, exits with 2; what is wrong with files or this machine, with 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
        (*RENDER, "map.tif", "--with-source"),
        (*RENDER, "map.tif", "--address", "https://maps.example/town"),
        (*RENDER, "map", "--address", "nowhere"),
        (*RENDER, "map.pmtiles", "--scheme", "tms"),
        (*RENDER, "maps", "--each", "--geotiff", "--scheme", "tms"),
        (*RENDER, "map", "--tmp", "elsewhere"),
        (*RENDER, "map", "--clip"),
        (*RENDER, "map", "--block-span", 3),
        (*RENDER, "map", "--stretch", "nonsense"),
        (*RENDER, "map", "--on-error", "skip", "--dask", "local:2"),
        (*RENDER, "map", "--with-source", "--dask", "local:2"),
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
