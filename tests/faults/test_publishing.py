"""Commands killed while they give an output its name and put its companions beside it; the same command ends it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from geo2map.api import mosaic_tiles
from geo2map.api.converting import convert
from geo2map.errors import OutputError
from geo2map.grid import PixelWindow
from geo2map.grid.raster import RasterGrid
from geo2map.ledger import OutputOptions, check_output, find_complete, finish_publishing, open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import BlurTranslator, fake_job

sys.path.insert(0, str(Path(__file__).parent))
kill_anywhere = pytest.importorskip("kill_anywhere", reason="kills forked processes, as POSIX has them")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes, as POSIX has them")
CLASSES = (("land", (250, 250, 240)), ("water", (170, 200, 250)), ("road", (90, 90, 90)))
WINDOW = PixelWindow(256 * 10, 256 * 5, 256 * 11 + 50, 256 * 6)  # two tiles of the noise
PLAN = Plan(name="noise", view=View(6), window=WINDOW, block_span=2, margin=16, fill_radius=16)
ROTATED = RasterGrid(
    "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=90 +datum=WGS84", (0.02, 0, -123.0, 0, -0.02, 81.5), 500, 200
)
"""On a CRS that a GeoTIFF cannot hold, over the noise."""
Command = Callable[[Path], None]
OVERWRITE = OutputOptions(overwrite=True)


def render(out: Path, grid: RasterGrid | None = None) -> None:
    job = fake_job(PLAN, Storage(minzoom=4, classes=True, legend=CLASSES, grid=grid), BlurTranslator(7))
    with open_output(out, job) as output:
        run(kill_anywhere.SOURCE, BlurTranslator(7), output)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class tiles, whose rasters have companions."""
    out = tmp_path_factory.mktemp("classes") / "noise"
    render(out)
    return out


def steps_of(command: Command, out: Path) -> list[str]:
    steps = kill_anywhere.Steps()
    with kill_anywhere.counted(steps):
        command(out)
    return list(steps.names)


def killed(command: Command, out: Path, at: int) -> bool:
    """Runs a command in a process that is killed before its step `at`."""
    child = os.fork()
    if not child:
        with kill_anywhere.counted(kill_anywhere.Steps(at)):
            command(out)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["convert", "mosaic", "render", "own crs", "folder"])
def test_killed_while_it_is_published(name: str, classes: Path, tmp_path: Path) -> None:
    """Before each of the last steps: from the companions' making to the removal of the hidden folder."""
    commands: dict[str, tuple[Command, str, int]] = {
        "convert": (partial(convert, classes), "map.tif", 12),
        "mosaic": (partial(mosaic_tiles, classes), "map.tif", 6),
        "render": (render, "map.tif", 9),
        "own crs": (partial(render, grid=ROTATED), "map.tif", 9),
        "folder": (partial(convert, classes), "tiles", 9),
    }
    command, out, last = commands[name]
    steps = steps_of(command, tmp_path / "whole" / out)
    whole = everything(tmp_path / "whole")
    if out == "map.tif":
        beside = {"map.tif", "map.tif.aux.xml", "map.qml", ".map.tif.journal"}
        assert (b"<SRS>" in whole["map.tif.aux.xml"]) == (name == "own crs")
        assert set(whole) == beside
    for at in range(len(steps) - last, len(steps) + 1):
        place = tmp_path / str(at)
        assert killed(command, place / out, at)
        if (place / f".{out}.partial").exists() or everything(place) != whole:  # else nothing but the lock is left
            command(place / out)
        assert everything(place) == whole, steps[at - 1]
        assert not (place / f".{out}.partial").exists()


def replace_by(out: Path, options: OutputOptions = OVERWRITE, seed: int = 7, **storage: Any) -> None:
    """A render as the command makes it, over whatever is there."""
    finish_publishing(out, runs=False)
    settings = check_output(out, options, Storage(minzoom=4, **storage)).adapt(Storage(minzoom=4, **storage))
    job = fake_job(PLAN, settings, BlurTranslator(seed))
    if find_complete(out, job, options) is None:
        with open_output(out, job, options) as output:
            run(kill_anywhere.SOURCE, BlurTranslator(seed), output)


REPLACED: dict[str, tuple[str, Command]] = {
    "tiles by tiles": ("tiles", replace_by),
    "a file by one without layers": ("map.pmtiles", replace_by),
    "a file by one without a record": ("map.pmtiles", partial(replace_by, bare=True)),
    "a file by one with other layers": ("map.pmtiles", partial(replace_by, layers=("classes",), legend=CLASSES)),
    "a file by a conversion": ("map.mbtiles", lambda out: convert(out.parent.parent / "other", out, overwrite=True)),
    "tiles by a conversion": ("tiles", lambda out: convert(out.parent.parent / "other", out, overwrite=True)),
}
"""Commands over an older output of the name that has a layer, by what they do; the source is not in the same folder."""


@pytest.mark.parametrize("name", REPLACED)
def test_killed_while_it_replaces(name: str, tmp_path: Path) -> None:
    """Before each of the last steps; of the older output nothing is left, neither a layer nor a hidden folder."""
    file, command = REPLACED[name]
    replace_by(tmp_path / "other", OutputOptions())
    replace_by(tmp_path / "older" / file, OutputOptions(), seed=1, layers=("source",))
    shutil.copytree(tmp_path / "older", tmp_path / "whole")
    steps = steps_of(command, tmp_path / "whole" / file)
    whole = everything(tmp_path / "whole")
    assert whole != everything(tmp_path / "older")
    for at in range(max(1, len(steps) - 16), len(steps) + 1):
        place = tmp_path / str(at)
        shutil.copytree(tmp_path / "older", place)
        assert killed(command, place / file, at)
        command(place / file)
        assert everything(place) == whole, steps[at - 1]
        assert {path.name for path in place.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_a_workspace_that_was_half_removed_goes_with_the_next_command(tmp_path: Path) -> None:
    render(tmp_path / "map.tif")
    (tmp_path / ".map.tif.partial").mkdir()
    with pytest.raises(OutputError, match="exists"):
        render(tmp_path / "map.tif")
    assert not (tmp_path / ".map.tif.partial").exists()


def test_another_command_ends_it_but_replaces_nothing(classes: Path, tmp_path: Path) -> None:
    steps = steps_of(partial(convert, classes), tmp_path / "whole" / "map.tif")
    renames = [number for number, step in enumerate(steps, 1) if step == "replace"]
    out = tmp_path / "killed" / "map.tif"
    assert killed(partial(convert, classes), out, renames[-1])  # the companions' last rename
    assert everything(tmp_path / "killed") != everything(tmp_path / "whole")
    with pytest.raises(OutputError, match="exists already"):
        convert(classes, out, zooms=(5, 5))
    assert everything(tmp_path / "killed") == everything(tmp_path / "whole")
    assert finish_publishing(out) is None


def test_a_style_of_the_users_stays(classes: Path, tmp_path: Path) -> None:
    (tmp_path / "map.qml").write_text("mine")
    convert(classes, tmp_path / "map.tif")
    assert (tmp_path / "map.qml").read_text() == "mine"
    assert (tmp_path / "map.tif.aux.xml").exists()
