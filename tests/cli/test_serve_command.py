"""`geo2map serve` and `geo2map view` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

PATIENCE = 120


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A command that serves, and the addresses it printed; ended by Ctrl-C."""
    command = [sys.executable, "-m", "geo2map_cli", *map(str, arguments), "--port", "0", "--json"]
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); import sys;"
    code += f"sys.argv = {command[2:]!r}; runpy.run_module('geo2map_cli', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline() or "null")
    finally:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_looking_keeps_and_rendering_completes(
    geo2map: Any, write_scene: Any, tiny_model: Path, tmp_path: Path
) -> None:
    scene, options = write_scene("a.tif"), ["--model", tiny_model, "--block-span", "1"]
    with started("serve", scene, *options, "--keep", tmp_path / "tiles") as (process, addresses):
        tilejson = json.load(urlopen(addresses["tilejson"], timeout=PATIENCE))
        west, south, east, north = tilejson["bounds"]
        import mercantile

        tile = mercantile.tile((west + east) / 2, (south + north) / 2, tilejson["maxzoom"])
        shown = urlopen(addresses["tiles"].format(z=tile.z, x=tile.x, y=tile.y), timeout=PATIENCE).read()
        assert b"Leaflet" in urlopen(addresses["page"], timeout=PATIENCE).read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, said
        assert "blocks of" in said
        assert "are kept" in said
        assert "Traceback" not in said
    done = geo2map("render", scene, *options, "--out", tmp_path / "tiles")
    assert done.code == 0
    assert "1 resumed" in done.out
    assert (tmp_path / "tiles" / f"{tile.z}/{tile.x}/{tile.y}.png").read_bytes() == shown
    with started("view", tmp_path / "tiles", "--no-browser") as (_, addresses):
        assert urlopen(addresses["tiles"].format(z=tile.z, x=tile.x, y=tile.y), timeout=PATIENCE).read() == shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "nowhere.tif"], "scene not found"),
        (["serve", "SCENE", "--token", "short"], "token is malformed"),
        (["serve", "SCENE", "--keep", "out.xyz"], "not a supported output type"),
        (["serve", "SCENE", "--under", "nowhere"], "nowhere: not found"),
        (["serve", "SCENE", "--host", "no.such.host.invalid"], "cannot listen"),
        (["view", "nowhere"], "nowhere: not found"),
        (["view", "SCENE"], "not a tile set"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str],
    words: str,
    geo2map: Any,
    write_scene: Any,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = write_scene("a.tif")
    monkeypatch.chdir(tmp_path)
    given = [str(scene) if word == "SCENE" else word for word in arguments]
    done = geo2map(*given, *(["--model", tiny_model] if given[0] == "serve" else ["--no-browser"]))
    assert done.code == (2 if "--token" in arguments else 1)
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_without_the_extra_it_says_which(
    geo2map: Any, write_scene: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("starlette", "geo2map.live.app"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    done = geo2map("serve", write_scene("a.tif"), "--model", tiny_model)
    assert done.code == 1
    assert 'pip install -c constraints.txt -e ".[serve]"' in done.err
