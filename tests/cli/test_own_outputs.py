"""The map is written among its sheets, and the folder is rendered again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]


@pytest.mark.slow
def test_a_map_among_its_sheets(geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "sheets").mkdir()
    sheets = write_scene("sheets/a.tif").parent
    arguments = ("render", sheets, "--model", tiny_model, "--match", "none", "--force")
    first = geo2map(*arguments, "--out", sheets / "map.tif")
    assert first.code == 0, first.err
    for out, more in (("map2.tif", ()), ("map.tif", ("--overwrite",))):
        again = geo2map(*arguments, "--out", sheets / out, *more)
        assert again.code == 0, again.err
        mine, word = (f"{sheets / 'map2.tif'}, {sheets / 'map.tif'}", "one") if more else (sheets / "map.tif", "it")
        note = f"{mine}: made by geo2map, skipped; name {word} to use it as a scene"
        assert again.err.splitlines().count(note) == 1
        assert (sheets / out).read_bytes() == (sheets / "map.tif").read_bytes()
    each = geo2map(*arguments, "--each", "--out", tmp_path / "maps")
    assert each.code == 0, each.err
    assert each.err.splitlines().count(note) == 1
    named = geo2map(*arguments[:1], sheets / "map.tif", *arguments[2:], "--out", tmp_path / "again.tif")
    assert named.code == 0, named.err
