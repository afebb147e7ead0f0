"""A run that is interrupted keeps what it has done, and the next one ends with the bytes of one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from snapshots import read_files

from geo2map import Engine, render
from geo2map.errors import OutputError, SceneError
from geo2map.ledger import clean_output
from geo2map.protocols import PixelTranslator
from geo2map.types import Batch

OUTPUTS = ["tiles", "map.tif"]


class Interrupting(PixelTranslator):
    """An engine that is interrupted after some blocks, and counts those it translates."""

    def __init__(self, engine: Engine, after: int | None = None, error: BaseException | None = None) -> None:
        self._engine, self._after, self._error = engine, after, error or KeyboardInterrupt()
        self.card, self.device, self.precision, self.batch = engine.card, engine.device, engine.precision, 1
        self.translated = 0

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        if self.translated == self._after:
            raise self._error
        self.translated += len(batch)
        return self._engine.translate_pixels(batch, margin)


def interrupt(scene: Path, out: Path, engine: Engine, after: int, **options: Any) -> BaseException:
    """Renders and is interrupted; the error."""
    with pytest.raises(KeyboardInterrupt) as caught:
        render(scene, out, engine=Interrupting(engine, after), block_span=1, **options)  # type: ignore[arg-type]
    return caught.value


def names(folder: Path) -> list[str]:
    """What is in a folder, but for the journals that finished files keep beside them."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".journal"))


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_is_done_is_not_done_again(name: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif")
    whole = render(scene, tmp_path / "whole" / name, engine=quick_engine, block_span=1)
    error = interrupt(scene, tmp_path / name, quick_engine, after=5)
    assert not (tmp_path / name).exists()
    (note,) = error.__notes__
    assert "run the same command again" in note
    assert "geo2map clean" in note
    told: list[tuple[str, int, int]] = []
    again = Interrupting(quick_engine)
    report = render(scene, tmp_path / name, engine=again, block_span=1, progress=lambda *step: told.append(step))  # type: ignore[arg-type]
    assert told[0][0] == "resumed"
    assert told[0][1] == report.resumed == 5
    assert again.translated == whole.translated - report.resumed
    assert read_files(tmp_path / name, hidden=False) == read_files(tmp_path / "whole" / name, hidden=False)
    assert names(tmp_path) == sorted(["a.tif", name, "whole"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"match": "none"}, "colour match"),
        ({"zoom": 16}, "zoom was 17 and is 16"),
        ({"minzoom": 12}, "minzoom was"),
        ({"margin": 128}, "margin was"),
        ({"resampling": "nearest"}, "resampling was cubic and is nearest"),
        ({"bounds": True}, "area"),
    ],
)
def test_another_job_is_refused_and_says_what_is_different(
    options: dict[str, Any], word: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    scene = write_sheet("a.tif")
    interrupt(scene, tmp_path / "tiles", quick_engine, after=3, match="model")
    if options.pop("bounds", False):
        with rasterio.open(scene) as dataset:
            west, south, east, north = rasterio.warp.transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
        options["aoi"] = (west, south, (west + east) / 2, north)
    chosen = {"match": "model", "block_span": 1} | options
    with pytest.raises(OutputError, match=word) as caught:
        render(scene, tmp_path / "tiles", engine=quick_engine, **chosen)
    assert caught.value.option == "overwrite"
    render(scene, tmp_path / "tiles", engine=quick_engine, overwrite=True, **chosen)
    render(scene, tmp_path / "fresh", engine=quick_engine, **chosen)
    assert read_files(tmp_path / "tiles", hidden=False) == read_files(tmp_path / "fresh", hidden=False)


@pytest.mark.parametrize("change", ["touch", "rewrite", "move"])
def test_another_scene_is_refused(change: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif")
    interrupt(scene, tmp_path / "tiles", quick_engine, after=3)
    if change == "touch":
        os.utime(scene, ns=(1, 1))
    elif change == "rewrite":
        write_sheet("a.tif", seed=9)
    else:
        scene = scene.rename(tmp_path / "b.tif")
    with pytest.raises(OutputError, match=r"a\.tif"):
        render(scene, tmp_path / "tiles", engine=quick_engine, block_span=1)


def test_a_model_of_another_precision_is_refused(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    interrupt(write_sheet("a.tif"), tmp_path / "tiles", quick_engine, after=3)
    other = Interrupting(quick_engine)
    other.precision = "bf16"
    with pytest.raises(OutputError, match="precision was fp32 and is bf16"):
        render(tmp_path / "a.tif", tmp_path / "tiles", engine=other, block_span=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OUTPUTS)
def test_starting_over_and_cleaning(name: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif")
    interrupt(scene, tmp_path / name, quick_engine, after=5)
    counting = Interrupting(quick_engine)
    report = render(scene, tmp_path / name, engine=counting, block_span=1, resume=False)  # type: ignore[arg-type]
    assert (report.resumed, counting.translated) == (0, report.translated)
    interrupt(scene, tmp_path / f"other-{name}", quick_engine, after=5)
    assert clean_output(tmp_path / f"other-{name}")
    assert not clean_output(tmp_path / f"other-{name}")
    assert names(tmp_path) == sorted(["a.tif", name])


def test_an_error_keeps_the_blocks_too(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    failing = Interrupting(quick_engine, after=6, error=MemoryError("out of memory"))
    with pytest.raises(MemoryError):
        render(write_sheet("a.tif"), tmp_path / "tiles", engine=failing, block_span=1)  # type: ignore[arg-type]
    report = render(tmp_path / "a.tif", tmp_path / "tiles", engine=quick_engine, block_span=1)
    assert report.resumed == 6


def test_a_run_that_did_nothing_leaves_nothing(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    interrupt(write_sheet("a.tif"), tmp_path / "new" / "tiles", quick_engine, after=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_two_runs_at_once(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    """The second is refused while the first is at work, and not after it."""
    scene, waiting, going = write_sheet("a.tif"), threading.Event(), threading.Event()

    class Slow(Interrupting):
        def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
            waiting.set()
            going.wait(30)
            return super().translate_pixels(batch, margin)

    first = threading.Thread(target=render, args=(scene, tmp_path / "tiles"), kwargs={"engine": Slow(quick_engine)})
    first.start()
    try:
        assert waiting.wait(30)
        code = (
            "import sys; from geo2map.ledger.workspace import Workspace; from pathlib import Path\n"
            "try: Workspace(Path(sys.argv[1])).acquire()\n"
            "except Exception as error: sys.exit(str(error))"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "tiles"], capture_output=True, text=True, check=False
        )
        assert "another geo2map is writing it" in other.stderr
    finally:
        going.set()
        first.join()
    assert (tmp_path / "tiles" / "tilejson.json").is_file()


def test_a_lock_of_a_dead_process_does_not_count(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene, out = write_sheet("a.tif"), tmp_path / "tiles"
    code = (
        "import os, sys; from geo2map.ledger.workspace import Workspace; from pathlib import Path\n"
        "Workspace(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, out], check=False)
    assert out.with_name(".tiles.lock").exists()
    render(scene, out, engine=quick_engine)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "tiles"]


# Blocks that cannot be read


def spoil(scene: Path, share: float = 0.5) -> bytes:
    """Overwrites some of a tiled GeoTIFF's compressed bytes; what it was."""
    data = scene.read_bytes()
    at = int(len(data) * share)
    scene.write_bytes(data[:at] + b"\xff" * 20_000 + data[at + 20_000 :])
    return data


def test_a_scene_whose_colours_cannot_be_looked_at(quick_engine: Engine, tmp_path: Path, write_sheet: Any) -> None:
    """What cannot be planned is refused, unless it may be left out: tests/faults/test_damaged_scene.py."""
    scene = tmp_path / "a.tif"
    with rasterio.open(write_sheet("plain.tif")) as dataset:
        profile = dataset.profile | {"compress": "deflate"}
        noise = np.random.default_rng(0).normal(130, 20, dataset.read().shape).clip(1, 254).astype(np.uint8)
        with rasterio.open(scene, "w", **profile) as copy:
            copy.write(noise)  # does not decode when it is damaged
    spoil(scene)
    with pytest.raises(SceneError, match=r"a\.tif"):
        render(scene, tmp_path / "tiles", engine=quick_engine, block_span=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "plain.tif"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_open_blocks_are_taken_up(name: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    """The same scene, which could not be read for a while: a network drive, say."""
    scene = write_sheet("a.tif")
    render(scene, tmp_path / "whole" / name, engine=quick_engine, block_span=1)
    with pytest.MonkeyPatch.context() as patch:
        from geo2map.scene.source import SceneSource

        read, calls = SceneSource.read, [0]

        def sometimes(self: SceneSource, block: Any) -> Any:
            calls[0] += 1
            if calls[0] % 3 == 0:
                raise SceneError("the drive went away")
            return read(self, block)

        patch.setattr(SceneSource, "read", sometimes)
        first = render(scene, tmp_path / name, engine=quick_engine, block_span=1, on_error="skip")
    assert first.failed
    assert read_files(tmp_path / name, hidden=False) != read_files(tmp_path / "whole" / name, hidden=False)
    second = render(scene, tmp_path / name, engine=quick_engine, block_span=1, on_error="skip")
    assert not second.failed
    assert second.translated + second.empty == len(first.failed)
    assert read_files(tmp_path / name, hidden=False) == read_files(tmp_path / "whole" / name, hidden=False)
    assert not list(tmp_path.rglob("*failed.geojson"))
    assert names(tmp_path) == sorted(["a.tif", name, "whole"])
