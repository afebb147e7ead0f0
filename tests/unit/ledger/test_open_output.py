"""Outputs: what appears when, what is kept, what is refused; and the folder and document they write."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geo2map.api import mosaic_tiles
from geo2map.errors import Geo2MapError, OutputError, SceneError
from geo2map.formats import find_container
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.ledger import Output, OutputOptions, check_output, clean_output, open_output
from geo2map.ledger.finished_record import journal_path
from geo2map.ledger.journal import Journal
from geo2map.ledger.spool import SpoolStore
from geo2map.pipeline.blocks import Rendered, render_blocks
from geo2map.pipeline.report import Report
from geo2map.pipeline.run import run
from geo2map.plan import Job, Plan, Storage
from geo2map.protocols import TileStore
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME, first_unexpected
from geo2map.tiles.store import FolderStore, MemoryStore
from geo2map.types import Tile, TileFormat

WINDOW = PixelWindow(600 * 256 + 9, 300 * 256 + 5, 603 * 256, 302 * 256)
FRAME = PixelWindow(600 * 256, 300 * 256, 603 * 256, 302 * 256)
OVERWRITE = OutputOptions(overwrite=True)


def _source(seed: int = 1) -> ArraySource:
    """Noise; the north-west tile is empty, the one east of it partly valid."""
    rng = np.random.default_rng(seed)
    shape = (FRAME.height, FRAME.width)
    mask = np.ones(shape, dtype=np.bool_)
    mask[:256, :300] = False
    return ArraySource(FRAME, rng.integers(0, 256, (*shape, 3), dtype=np.uint8), mask)


def _job(seed: int = 1, format: TileFormat | None = None, span: int = 4) -> Job:
    """What makes a map of the noise: one block with `span` 4, six with `span` 1."""
    plan = Plan(name="town", view=View(10), window=WINDOW, block_span=span, model="m", content=str(seed))
    return fake_job(plan, Storage(format=format, minzoom=8))


def _blocks(job: Job) -> list[Rendered]:
    source = _source(int(job.plan.content))
    return list(render_blocks(job.plan, source, None, job.storage, job.plan.blocks()))


def _keep(output: Output, rendered: list[Rendered] | None = None) -> None:
    for done, tiles in _blocks(output.job) if rendered is None else rendered:
        output.keep(done, tiles)


def _render(path: str | Path, overwrite: bool = False, **job: Any) -> Report:
    made = _job(**job)
    with open_output(path, made, OutputOptions(overwrite=overwrite)) as output:
        return run(_source(int(made.plan.content)), None, output)


def _kill(output: Output) -> None:
    """Leaves an output as the end of its process would: nothing is taken back, only the lock is gone."""
    output.journal.close()
    output._workspace.release()


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _bytes(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in _names(path)} if path.is_dir() else {"": path.read_bytes()}


def _entries(folder: Path) -> list[str]:
    """Names in a folder, but for what finished files keep of their journals beside them."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".journal"))


@contextmanager
def _failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> Iterator[None]:
    """Within, a method of Path fails as the operating system would."""

    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, fail)
        yield


OUTPUTS = ["tiles", "map.tif"]
FORMATS: list[tuple[str, TileFormat | None]] = [
    ("tiles", "png"),
    ("tiles", "webp"),
    ("tiles", "jpeg"),
    ("map.tif", None),
]


# What appears


@pytest.mark.parametrize("span", [1, 2, 4])
def test_a_folder_of_tiles_holds_valid_tiles_overviews_and_the_documents(tmp_path: Path, span: int) -> None:
    _render(tmp_path / "tiles", span=span)
    leaves = [f"10/{x}/{y}.png" for x, y in ((600, 301), (601, 300), (601, 301), (602, 300), (602, 301))]
    parents = ["8/150/75.png", "9/300/150.png", "9/301/150.png"]
    beside = ["tilejson.json", JOURNAL_NAME, "index.html", "provenance.json", "town.qlr"]
    assert _names(tmp_path) == sorted(f"tiles/{name}" for name in [*leaves, *parents, *beside])
    pixels, mask = XyzFolder(tmp_path / "tiles").read(Tile(601, 300, 10)) or (None, None)
    truth = _source()
    assert np.array_equal(mask, truth.mask[:256, 256:512])
    assert np.array_equal(pixels, truth.pixels[:256, 256:512] * truth.mask[:256, 256:512, None])


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_is_visible_before_the_end_and_nothing_left_after(tmp_path: Path, name: str) -> None:
    job = _job()
    with open_output(tmp_path / name, job) as output:
        _keep(output)
        assert _entries(tmp_path) == [f".{name}.lock", f".{name}.partial"]
        output.finish()
        assert output.complete
        before = _bytes(tmp_path / name)
        with pytest.raises(OutputError):
            _keep(output)
    assert _entries(tmp_path) == [name]
    assert _bytes(tmp_path / name) == before


@pytest.mark.parametrize(("name", "format"), FORMATS)
def test_the_same_blocks_give_the_same_bytes_whatever_their_order(
    tmp_path: Path, name: str, format: TileFormat | None
) -> None:
    _render(tmp_path / "a" / name, format=format, span=1)
    rendered = _blocks(_job(format=format, span=1))
    with open_output(tmp_path / "b" / name, _job(format=format, span=1)) as output:
        _keep(output, [*reversed(rendered), rendered[3]])
        output.finish()
    assert len(rendered) == 6
    assert _bytes(tmp_path / "a" / name) == _bytes(tmp_path / "b" / name)


@pytest.mark.parametrize(("name", "format"), FORMATS)
def test_the_same_pixels_give_the_same_tiles_whatever_the_blocks(
    tmp_path: Path, name: str, format: TileFormat | None
) -> None:
    """Overviews as well, of which some are made with a block and some afterwards."""
    found = []
    for span in (1, 2, 4):
        out = tmp_path / str(span) / name
        _render(out, format=format, span=span)
        if out.is_dir():
            found.append({key: data for key, data in _bytes(out).items() if key[0].isdigit()})
        else:
            levels = []
            for number in (-1, 0, 1):
                with rasterio.open(out, **({} if number < 0 else {"OVERVIEW_LEVEL": number})) as dataset:
                    levels.append(dataset.read().tobytes())
            found.append({str(number): data for number, data in enumerate(levels)})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kind", ["folder", "memory", "journal"])
def test_tiles_may_be_put_from_several_threads(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tiles").mkdir()
    store: TileStore = MemoryStore()
    if kind == "folder":
        store = FolderStore(tmp_path / "tiles", ".png")
    if kind == "journal":
        store = SpoolStore(Journal.create(tmp_path / "journal", _job()))
    tiles = {Tile(x, y, 9): f"{x} {y}".encode() * 99 for x in range(7) for y in range(20)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.put, tiles, tiles.values()))
        assert list(pool.map(store.get, tiles)) == list(tiles.values())
    store.sync()
    assert list(store.tiles(9)) == sorted(tiles)
    assert (store.zooms, list(store.tiles(8)), store.get(Tile(9, 9, 9))) == ((9,), [], None)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_run_that_did_nothing_leaves_nothing_not_even_parents(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / "new" / "deep" / name, _job()):
        pass
    assert list(tmp_path.iterdir()) == []

    def interrupted() -> None:
        with open_output(tmp_path / "new" / "deep" / name, _job()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    assert not getattr(caught.value, "__notes__", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_parents_that_others_use_are_kept(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / "new" / name, _job()):
        (tmp_path / "new" / "note.txt").write_text("mine")
    assert _names(tmp_path) == ["new/note.txt"]


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OutputError, ZeroDivisionError])
def test_an_error_keeps_what_is_done_and_says_how_to_go_on(
    tmp_path: Path, name: str, kind: type[BaseException]
) -> None:
    out, rendered = tmp_path / name, _blocks(_job(span=1))

    def interrupted() -> None:
        with open_output(out, _job(span=1)) as output:
            _keep(output, rendered[:4])
            raise kind

    with pytest.raises(kind) as caught:
        interrupted()
    (note,) = caught.value.__notes__
    assert note == (
        f"4 of 6 blocks of {out} are kept; run the same command again to resume, or delete them with: "
        f"geo2map clean {out}"
    )
    assert _entries(tmp_path) == [f".{name}.partial"]
    report = _render(out, span=1)
    assert (report.resumed, report.translated + report.empty) == (4, 2)
    _render(tmp_path / "fresh" / name, span=1)
    assert _bytes(out) == _bytes(tmp_path / "fresh" / name)
    assert _entries(tmp_path) == sorted([name, "fresh"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_killed_run_left_is_taken_up(tmp_path: Path, name: str) -> None:
    """A tile that it was writing may be torn: its block is not done."""
    rendered = _blocks(_job(span=1))
    killed = open_output(tmp_path / name, _job(span=1))
    _keep(killed, rendered[:3])
    for tile, data in rendered[3][1]["map"].items():
        killed.store.put(tile, data[:-9])
    _kill(killed)
    assert not (tmp_path / name).exists()
    with open_output(tmp_path / name, _job(span=1)) as output:
        assert output.resumed
        assert {key for key, record in output.records.items() if record.pending_reason is None} == {
            done.key for done, _ in rendered[:3]
        }
        assert run(_source(), None, output).resumed == 3
    _render(tmp_path / "fresh" / name, span=1)
    assert _bytes(tmp_path / name) == _bytes(tmp_path / "fresh" / name)
    assert _entries(tmp_path) == sorted([name, "fresh"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_killed_run_left_can_be_thrown_away(tmp_path: Path, name: str) -> None:
    killed = open_output(tmp_path / name, _job(span=1))
    _keep(killed, _blocks(_job(span=1))[:3])
    _kill(killed)
    assert clean_output(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    assert not clean_output(tmp_path / name)
    _render(tmp_path / name)
    before = _bytes(tmp_path)
    assert not clean_output(tmp_path / name)
    assert _bytes(tmp_path) == before


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_another_run_left_is_kept_unless_told(tmp_path: Path, name: str) -> None:
    killed = open_output(tmp_path / name, _job(seed=5, span=1))
    _keep(killed, _blocks(_job(seed=5, span=1))[:3])
    _kill(killed)
    before = _bytes(tmp_path)
    with pytest.raises(
        OutputError, match=r"partial results of another run \(.*the pixels of the scene changed"
    ) as caught:
        open_output(tmp_path / name, _job())
    assert caught.value.option == "overwrite"
    assert _bytes(tmp_path) == before
    with pytest.raises(OutputError, match=r"block span was 1 and is 4"):
        open_output(tmp_path / name, _job(seed=5))
    assert _bytes(tmp_path) == before
    _render(tmp_path / name, overwrite=True)
    _render(tmp_path / "fresh" / name)
    assert _bytes(tmp_path / name) == _bytes(tmp_path / "fresh" / name)
    assert _entries(tmp_path) == sorted([name, "fresh"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_the_same_run_left_is_not_taken_up_if_told(tmp_path: Path, name: str) -> None:
    killed = open_output(tmp_path / name, _job(span=1))
    _keep(killed, _blocks(_job(span=1))[:3])
    _kill(killed)
    with open_output(tmp_path / name, _job(span=1), OutputOptions(resume=False)) as output:
        assert (output.resumed, output.records) == (False, {})
        assert run(_source(), None, output).resumed == 0
    assert _entries(tmp_path) == [name]


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_is_one_runs_at_a_time(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / name, _job()) as output:
        for action in (open_output, lambda path, _: clean_output(path)):
            with pytest.raises(OutputError, match="another geo2map is writing it"):
                action(tmp_path / name, _job())
        _keep(output)
        output.finish()
    assert _entries(tmp_path) == [name]


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_valid_pixel_is_an_error_not_a_blank(tmp_path: Path, name: str) -> None:
    source = _source()
    source.mask[...] = False
    with (
        pytest.raises(OutputError, match="would be empty; no valid pixel there"),
        open_output(tmp_path / name, _job(span=1)) as output,
    ):
        run(source, None, output)
    assert list(tmp_path.iterdir()) == []


class DamagedSource(ArraySource):
    """Some of its blocks cannot be read: all, or those in the first row of tiles."""

    all_of_it: bool = True

    def read(self, block: Block) -> BlockImage:
        if self.all_of_it or block.y == min(b.y for b in _job(span=1).plan.blocks()):
            raise SceneError("strip 3 is damaged")
        return super().read(block)


@pytest.mark.parametrize(
    ("all_of_it", "cause"),
    [
        (True, r"no block could be read \(strip 3 is damaged\)"),
        (False, r"3 of 6 blocks could not be read \(strip 3 is damaged\), the others hold no valid pixel"),
    ],
)
def test_damage_is_named_as_the_cause_of_an_empty_output(tmp_path: Path, all_of_it: bool, cause: str) -> None:
    whole = _source()
    source = DamagedSource(whole.window, whole.pixels, np.zeros_like(whole.mask))
    source.all_of_it = all_of_it
    with (
        pytest.raises(OutputError, match=f"would be empty; {cause}"),
        open_output(tmp_path / "tiles", _job(span=1)) as output,
    ):
        run(source, None, output, on_error="skip")
    assert list(tmp_path.iterdir()) == []


# Which container


@pytest.mark.parametrize("name", ["tiles", "tiles.v2/", "map.tif/", ".hidden", "deep/er/tiles"])
def test_folders(tmp_path: Path, name: str) -> None:
    assert find_container(f"{tmp_path}/{name}").is_folder
    _render(f"{tmp_path}/{name}")
    assert (tmp_path / name / "tilejson.json").is_file()


def test_an_existing_folder_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "2024.05").mkdir()
    _render(tmp_path / "2024.05")
    assert (tmp_path / "2024.05" / "tilejson.json").is_file()


@pytest.mark.parametrize("name", ["map.tif", "map.TIFF", "a.b.tif"])
def test_rasters(tmp_path: Path, name: str) -> None:
    assert find_container(tmp_path / name).name == "a GeoTIFF"
    _render(tmp_path / name)
    with rasterio.open(tmp_path / name) as dataset:
        assert (dataset.driver, dataset.shape) == ("GTiff", (512, 768))


@pytest.mark.parametrize("name", ["map.xyz", "map.png", "tiles.v2"])
def test_other_suffixes_say_what_is_supported(tmp_path: Path, name: str) -> None:
    for opened in (open_output, lambda path, _: check_output(path, OutputOptions(), Storage())):
        with pytest.raises(OutputError, match=r"\.tif.*folder of tiles"):
            opened(tmp_path / name, _job())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s3://bucket/tiles", "https://example.com/map.tif", "/vsis3/bucket/map.tif"])
def test_an_address_is_no_output(name: str) -> None:
    with pytest.raises(OutputError, match="not a local path"):
        open_output(name, _job())


def test_a_geotiff_has_no_tile_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a GeoTIFF has no tile format") as caught:
        check_output(tmp_path / "map.tif", OutputOptions(), Storage(format="webp"))
    assert caught.value.option == "format"
    assert check_output(tmp_path / "tiles", OutputOptions(), Storage(format="webp")).is_folder


# What is there already


def test_an_empty_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    check_output(tmp_path / "tiles", OutputOptions(), Storage())
    _render(tmp_path / "tiles")
    assert (tmp_path / "tiles" / "tilejson.json").is_file()


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_existing_output_is_refused_at_once(tmp_path: Path, name: str) -> None:
    _render(tmp_path / name)
    before = _bytes(tmp_path)
    with pytest.raises(OutputError, match="exists already") as caught:
        open_output(tmp_path / name, _job())
    assert caught.value.option == "overwrite"
    check_output(
        tmp_path / name, OutputOptions(), Storage()
    )  # it says what made it: whether that is the job, is seen later
    assert _bytes(tmp_path) == before
    journal_path(tmp_path / name).unlink()
    with pytest.raises(OutputError, match="without a record of how it was made") as caught:
        check_output(tmp_path / name, OutputOptions(), Storage())
    assert caught.value.option == "overwrite"


@pytest.mark.parametrize("name", OUTPUTS)
def test_overwriting_replaces_at_the_end_only(tmp_path: Path, name: str) -> None:
    _render(tmp_path / name)
    before = _bytes(tmp_path / name)
    with open_output(tmp_path / name, _job(seed=2), OVERWRITE) as output:
        _keep(output)
        assert _bytes(tmp_path / name) == before
    assert _bytes(tmp_path / name) == before
    assert _entries(tmp_path) == sorted([name, f".{name}.partial"])
    assert _render(tmp_path / name, overwrite=True, seed=2).resumed == 1
    assert _bytes(tmp_path / name) != before
    assert _entries(tmp_path) == [name]
    _render(tmp_path / "fresh" / name, seed=2)
    assert _bytes(tmp_path / name) == _bytes(tmp_path / "fresh" / name)


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_turns_up_during_the_run_is_kept(tmp_path: Path, name: str) -> None:
    """The run is kept, too: once the other is out of the way, it takes its place."""
    with open_output(tmp_path / name, _job()) as output:
        _keep(output)
        _render(tmp_path / "other" / name, seed=3)
        (tmp_path / "other" / name).rename(tmp_path / name)
        before = _bytes(tmp_path / name)
        with pytest.raises(OutputError, match=f"{name}: has appeared meanwhile; move it away and run again"):
            output.finish()
    assert _bytes(tmp_path / name) == before
    assert _entries(tmp_path) == sorted([name, f".{name}.partial", "other"])
    (tmp_path / name).rename(tmp_path / "other" / name)
    assert _render(tmp_path / name).resumed == 1
    _render(tmp_path / "fresh" / name)
    assert _bytes(tmp_path / name) == _bytes(tmp_path / "fresh" / name)
    assert _bytes(tmp_path / "other" / name) == before
    assert _entries(tmp_path) == sorted([name, "other", "fresh"])


STRANGERS = [
    "notes.txt",
    "Documents/letter.odt",
    "10/holiday.jpg",
    "10/600/holiday.jpg",
    "10/600/5.odt",
    "10/600/5",
    "2024/12/1.jpg",
    "10/600/5/6.png",
    ".ssh/id_rsa",
    "10/README",
    ".geo2map.journal/diary.txt",
    "10/.geo2map.journal",
]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_overwriting_never_deletes_a_folder_with_anything_else_in_it(tmp_path: Path, stranger: str) -> None:
    home = tmp_path / "home"
    _render(home)
    if stranger.startswith(JOURNAL_NAME):
        (home / JOURNAL_NAME).unlink()
    (home / stranger).parent.mkdir(parents=True, exist_ok=True)
    (home / stranger).write_text("precious")
    before = _bytes(tmp_path)
    for opened in (open_output, lambda path, *_: check_output(path, OVERWRITE, Storage())):
        with pytest.raises(OutputError, match="does not belong to a tile set"):
            opened(home, _job(), OVERWRITE)
        assert _bytes(tmp_path) == before


def test_a_stranger_that_turns_up_during_the_run_is_kept(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    with open_output(tmp_path / "tiles", _job(seed=2), OVERWRITE) as output:
        _keep(output)
        (tmp_path / "tiles" / "notes.txt").write_text("precious")
        before = _bytes(tmp_path / "tiles")
        with pytest.raises(OutputError, match=r"notes\.txt"):
            output.finish()
    assert _bytes(tmp_path / "tiles") == before
    assert _entries(tmp_path) == [".tiles.partial", "tiles"]
    (tmp_path / "tiles" / "notes.txt").unlink()
    assert _render(tmp_path / "tiles", overwrite=True, seed=2).resumed == 1
    assert _entries(tmp_path) == ["tiles"]


def test_a_web_page_alone_is_no_tile_set(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>")
    with pytest.raises(OutputError, match="neither zooms"):
        open_output(tmp_path, _job(), OVERWRITE)
    assert _names(tmp_path) == ["index.html"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_strangers(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "10").symlink_to(tmp_path)
    assert first_unexpected(tmp_path / "tiles") == tmp_path / "tiles" / "10"


def test_sidecars_and_clutter_are_not(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    for name in ("tiles.xml", "older.qlr", ".DS_Store", "10/600/301.png.aux.xml", "10/600/301.kml", "10/Thumbs.db"):
        (tmp_path / "tiles" / name).write_text("")
    (tmp_path / "tiles" / "failed.geojson").write_text("{}")
    assert first_unexpected(tmp_path / "tiles") is None
    _render(tmp_path / "tiles", overwrite=True)
    assert not (tmp_path / "tiles" / "older.qlr").exists()


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_hidden_folder_of_someone_else_is_not_deleted(tmp_path: Path, name: str) -> None:
    hidden = tmp_path / f".{name}.partial"
    hidden.mkdir()
    (hidden / "diary.txt").write_text("precious")
    for options in (OutputOptions(), OVERWRITE, OutputOptions(resume=False)):
        with pytest.raises(OutputError, match=r"diary\.txt"):
            open_output(tmp_path / name, _job(), options)
    with pytest.raises(OutputError, match=r"diary\.txt"):
        clean_output(tmp_path / name)
    assert _names(tmp_path) == [f".{name}.partial/diary.txt"]


def test_what_someone_puts_into_a_hidden_folder_of_ours_is_not_deleted(tmp_path: Path) -> None:
    killed = open_output(tmp_path / "tiles", _job(span=1))
    _keep(killed, _blocks(_job(span=1))[:3])
    _kill(killed)
    for place in (tmp_path / ".tiles.partial", tmp_path / ".tiles.partial" / "result"):
        (place / "diary.txt").write_text("precious")
        with pytest.raises(OutputError, match=r"diary\.txt"):
            clean_output(tmp_path / "tiles")
        with pytest.raises(OutputError, match=r"diary\.txt"):
            open_output(tmp_path / "tiles", _job(seed=2), OVERWRITE)
        assert (place / "diary.txt").read_text() == "precious"
        (place / "diary.txt").unlink()


def test_a_failed_swap_puts_the_old_output_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _render(tmp_path / "tiles")
    before = _bytes(tmp_path)
    rename = Path.rename

    def fail_for_fresh(self: Path, target: Path) -> Path:
        if self.name == "result":
            raise PermissionError(errno.EACCES, "in use", str(self))
        return rename(self, target)

    with open_output(tmp_path / "tiles", _job(seed=2), OVERWRITE) as output:
        _keep(output)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", fail_for_fresh)
            with pytest.raises(OutputError, match="in use"):
                output.finish()
    assert {name: data for name, data in _bytes(tmp_path).items() if not name.startswith(".tiles.partial")} == before
    assert _entries(tmp_path) == [".tiles.partial", "tiles"]
    assert _render(tmp_path / "tiles", overwrite=True, seed=2).resumed == 1
    _render(tmp_path / "fresh", seed=2)
    assert _bytes(tmp_path / "tiles") == _bytes(tmp_path / "fresh")


def test_an_output_lost_between_two_renames_comes_back(tmp_path: Path) -> None:
    _render(tmp_path / "tiles")
    before = _bytes(tmp_path / "tiles")
    (tmp_path / "tiles").rename(tmp_path / ".tiles.replaced")
    with pytest.raises(OutputError, match="exists already") as caught:
        open_output(tmp_path / "tiles", _job())
    assert caught.value.option == "overwrite"
    assert _bytes(tmp_path / "tiles") == before
    assert _entries(tmp_path) == ["tiles"]


# Places that cannot be written


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_above_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    for opened in (open_output, lambda path, _: check_output(path, OutputOptions(), Storage())):
        with pytest.raises(OutputError, match=r"file is a file"):
            opened(tmp_path / "file" / "deep" / name, _job())
    assert _names(tmp_path) == ["file"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "tiles").write_text("")
    for opened in (open_output, lambda path, *_: check_output(path, OVERWRITE, Storage())):
        with pytest.raises(OutputError, match="a file of this name exists, not a folder of tiles"):
            opened(tmp_path / "tiles", _job(), OVERWRITE)
    assert _names(tmp_path) == ["tiles"]


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("place", ["", "new"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG, errno.EIO])
def test_the_operating_systems_refusals_become_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str, number: int
) -> None:
    with _failing(monkeypatch, "mkdir", number), pytest.raises(OutputError) as caught:
        open_output(tmp_path / place / name, _job())
    assert os.strerror(number) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        open_output(tmp_path / "tiles", _job()) as output,
        _failing(monkeypatch, "write_bytes", errno.ENOSPC),
        pytest.raises(OutputError, match="disk is full"),
    ):
        _keep(output)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_spooling(tmp_path: Path) -> None:
    with open_output(tmp_path / "map.tif", _job()) as output:
        pages = output.journal.db.execute("PRAGMA page_count").fetchone()[0]
        output.journal.db.execute(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(OutputError, match="disk is full"):
            _keep(output)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_disk_that_fills_up_in_the_middle_loses_no_finished_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rendered = _blocks(_job(span=1))
    with open_output(tmp_path / name, _job(span=1)) as output:
        _keep(output, rendered[:3])
        pages = output.journal.db.execute("PRAGMA page_count").fetchone()[0]
        output.journal.db.execute(f"PRAGMA max_page_count = {pages}")
        with _failing(monkeypatch, "write_bytes", errno.ENOSPC), pytest.raises(OutputError, match="disk is full"):
            _keep(output, rendered[3:])
    assert _entries(tmp_path) == [f".{name}.partial"]
    assert _render(tmp_path / name, span=1).resumed == 3
    _render(tmp_path / "fresh" / name, span=1)
    assert _bytes(tmp_path / name) == _bytes(tmp_path / "fresh" / name)


@pytest.mark.parametrize(("span", "method"), [(1, "write_bytes"), (4, "open")])
def test_a_full_disk_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, span: int, method: str) -> None:
    """While overviews are made, and while the document is: no block has to be rendered again."""
    with open_output(tmp_path / "tiles", _job(span=span)) as output:
        _keep(output)
        with _failing(monkeypatch, method, errno.ENOSPC), pytest.raises(OutputError, match="disk is full"):
            output.finish()
    assert _entries(tmp_path) == [".tiles.partial"]
    report = _render(tmp_path / "tiles", span=span)
    assert (report.resumed, report.tiles) == (_job(span=span).plan.block_count, 0)
    _render(tmp_path / "fresh", span=span)
    assert _bytes(tmp_path / "tiles") == _bytes(tmp_path / "fresh")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove a file that is open")
@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("kept", [0, 3, 4, 6])
def test_a_vanished_hidden_folder_is_an_error_not_a_torn_output(tmp_path: Path, name: str, kept: int) -> None:
    rendered = sorted(_blocks(_job(span=1)), key=lambda block: block[0].key)  # columns that come later are new

    def robbed() -> None:
        with open_output(tmp_path / name, _job(span=1)) as output:
            _keep(output, rendered[:kept])
            shutil.rmtree(tmp_path / f".{name}.partial")
            _keep(output, rendered[kept:])
            output.finish()

    with pytest.raises(Geo2MapError):
        robbed()
    assert not (tmp_path / name).exists()
    _render(tmp_path / name, span=1)
    assert _entries(tmp_path) == [name]


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.8, 0.95, 0.999])
def test_a_geotiff_cut_short_is_never_renamed(tmp_path: Path, share: float) -> None:
    import resource

    _render(tmp_path / "tiles", format="webp")
    mosaic_tiles(tmp_path / "tiles", tmp_path / "whole.tif")
    size = (tmp_path / "whole.tif").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), before[1]))
    try:
        with pytest.raises(OutputError):
            mosaic_tiles(tmp_path / "tiles", tmp_path / "cut.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert _entries(tmp_path) == ["tiles", "whole.tif"]


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
@pytest.mark.parametrize("share", [0.3, 0.95, 0.999])
def test_a_rendered_geotiff_cut_short_is_made_again_from_its_blocks(tmp_path: Path, share: float) -> None:
    import resource

    _render(tmp_path / "fresh" / "map.tif", span=1)
    size = (tmp_path / "fresh" / "map.tif").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_output(tmp_path / "map.tif", _job(span=1)) as output:
        _keep(output)
        output.journal.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), before[1]))
        try:
            with pytest.raises(OutputError):
                output.finish()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert _entries(tmp_path) == [".map.tif.lock", ".map.tif.partial", "fresh"]
    assert _render(tmp_path / "map.tif", span=1).resumed == 6
    assert _bytes(tmp_path / "map.tif") == _bytes(tmp_path / "fresh" / "map.tif")


def test_notes_are_told_once_before_the_first_block(tmp_path: Path) -> None:
    told: list[object] = []

    def begin(name: str, notes: Sequence[str], /) -> None:
        told.append((name, tuple(notes)))

    job = replace(_job(), plan=replace(_job().plan, notes=("mind the gap",)))
    for _ in range(2):
        with open_output(tmp_path / "tiles", job, OVERWRITE) as output:
            run(_source(), None, output, begin=begin, progress=lambda stage, *_: told.append(stage))
        assert told[0] == ("town", ("mind the gap",))
        assert told.index("blocks") > 0
        assert sum(isinstance(item, tuple) for item in told) == 1
        told.clear()
