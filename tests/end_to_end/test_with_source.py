"""`--with-source`: the imagery's own tiles beside the map's, made in the same run and kept true with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from snapshots import read_files, read_tiles
from test_resume import Interrupting, interrupt
from test_update import Counting, frozen

from geo2map import Engine, check, dry_run, render, repair, tile, update
from geo2map.api.serving import open_live
from geo2map.errors import OutputError, PlanError
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile


def all_files(folder: Path) -> dict[str, bytes]:
    """Journals, too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(quick_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of the town and its map with the imagery's tiles; not to be changed."""
    from geo2map import make_town

    folder = tmp_path_factory.mktemp("made")
    make_town(folder / "a.tif", size=600, seed=3)
    render(folder / "a.tif", folder / "tiles", engine=quick_engine, block_span=2, with_source=True)
    return folder


def test_they_are_those_of_the_imagery_and_the_map_stays_as_it_was(
    made: Path, quick_engine: Engine, tmp_path: Path
) -> None:
    render(made / "a.tif", tmp_path / "alone", engine=quick_engine, block_span=2)
    alone, both = read_tiles(tmp_path / "alone"), read_tiles(made / "tiles")
    source = {name.removeprefix("source/"): data for name, data in both.items() if name.startswith("source/")}
    assert {name: data for name, data in both.items() if not name.startswith("source/")} == alone
    assert {name.replace(".webp", ".png") for name in source} == alone.keys()
    with open_live(made / "a.tif", engine=quick_engine, block_span=2) as live:
        for name, data in source.items():
            zoom, column, row = map(int, name.removesuffix(".webp").split("/"))
            if zoom >= live.layers["source"].tileset.minzoom:
                assert live.layers["source"].ask(Tile(column, row, zoom)).result() == data
    described = TileSet.load(made / "tiles" / "source")
    assert described is not None
    assert (described.format, described.extra["model"], described.scheme) == ("webp", "", "xyz")
    document = json.loads((made / "tiles" / "source" / "tilejson.json").read_text())
    assert document["attribution"] == "Source imagery"
    page = (made / "tiles" / "index.html").read_text(encoding="utf-8")
    assert "./source/{z}/{x}/{y}.webp" in page
    assert "./source" not in (tmp_path / "alone" / "index.html").read_text(encoding="utf-8")


def test_the_imagery_is_what_was_cut(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    """Lossy, but the same masks and nearly the same pixels as `geo2map tile` has without loss."""
    tile(made / "a.tif", tmp_path / "cut", card=quick_engine.card)
    for path in sorted((tmp_path / "cut" / "17").rglob("*.png")):
        exact, mask = decode_tile(path.read_bytes())
        name = path.relative_to(tmp_path / "cut").with_suffix(".webp")
        pixels, valid = decode_tile((made / "tiles" / "source" / name).read_bytes())
        assert (mask == valid).all()
        assert abs(exact[mask].astype(int) - pixels[mask]).mean() < 8


def test_a_run_taken_up_again_has_the_same_bytes(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    whole = render(made / "a.tif", tmp_path / "whole", engine=quick_engine, block_span=1, with_source=True)
    interrupt(made / "a.tif", tmp_path / "tiles", quick_engine, after=5, with_source=True)
    again = Interrupting(quick_engine)
    report = render(made / "a.tif", tmp_path / "tiles", engine=again, block_span=1, with_source=True)  # type: ignore[arg-type]
    assert report.resumed == 5
    assert again.translated == whole.translated - report.resumed
    assert all_files(tmp_path / "tiles") == all_files(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiles", "whole"]


def test_an_update_that_was_stopped_goes_on_and_brings_both_up_to_date(
    quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    a, b = write_sheet("a.tif", side=300), write_sheet("b.tif", east=200, south=100, seed=4, side=300)
    out, whole = tmp_path / "tiles", tmp_path / "whole"
    first = render(a, out, engine=quick_engine, block_span=1, with_source=True)
    before = all_files(out)
    with pytest.raises(KeyboardInterrupt):
        update(b, out, engine=Counting(quick_engine, stop=3))  # type: ignore[arg-type]
    assert all_files(out) == before
    update(b, out, engine=quick_engine)
    options = {"rendition": frozen(out), "minzoom": first.minzoom, "block_span": 1, "with_source": True}
    render([a, b], whole, engine=quick_engine, **options)
    assert read_tiles(out) == read_tiles(whole)
    assert check(out).ok


def test_what_is_wrong_with_them_is_found_and_repaired(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / "tiles"
    shutil.copytree(made / "tiles", out)
    assert check(out).ok
    whole = all_files(out)
    found = sorted((out / "source" / "17").rglob("*.webp"))
    found[1].write_bytes(found[1].read_bytes()[:-40])
    found[2].unlink()
    stray = found[0].with_name("1.webp")
    stray.write_bytes(found[0].read_bytes())
    (out / "source" / "tilejson.json").write_text("{}")
    problems = [(problem.kind, problem.what) for problem in check(out).problems]
    assert {kind for kind, _ in problems} >= {"missing", "stray", "metadata"}
    assert {kind for kind, _ in problems} & {"broken", "changed"}
    assert all(what.startswith("source/") for _, what in problems)
    assert repair(out, engine=quick_engine).ok
    assert all_files(out) == whole
    (out / "source" / "notes.txt").write_text("mine")
    assert [problem.what for problem in check(out).problems] == ["source/notes.txt"]
    with pytest.raises(OutputError, match="notes"):
        render(made / "a.tif", out, engine=quick_engine, overwrite=True)
    (out / "source" / "notes.txt").unlink()
    shutil.rmtree(out / "source")
    problems = check(out).problems
    assert {problem.kind for problem in problems} == {"missing"}
    names = {f"source/{name}".removesuffix(".webp") for name in read_tiles(made / "tiles" / "source")}
    assert {problem.what for problem in problems} == names
    assert repair(out, engine=quick_engine).ok
    assert all_files(out) == whole


def test_it_counts_rows_as_the_map_does(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    render(made / "a.tif", tmp_path / "t", engine=quick_engine, block_span=2, with_source=True, scheme="tms", bare=True)
    assert not (tmp_path / "t" / "tiles.xml").exists()
    found = read_files(tmp_path / "t", hidden=False)
    assert "index.html" not in found
    assert json.loads(found["source/tilejson.json"])["scheme"] == "tms"
    north = read_files(made / "tiles", hidden=False)
    for name, data in read_tiles(tmp_path / "t").items():
        *folders, zoom, column, row = name.split("/")
        number, suffix = row.split(".")
        assert north["/".join([*folders, zoom, column, f"{2 ** int(zoom) - 1 - int(number)}.{suffix}"])] == data


def test_the_dry_run_counts_them(made: Path, quick_engine: Engine) -> None:
    alone = dry_run(made / "a.tif", "tiles/", engine=quick_engine, block_span=2).estimate
    both = dry_run(made / "a.tif", "tiles/", engine=quick_engine, block_span=2, with_source=True).estimate
    assert (alone.layers, both.layers, both.tiles) == ((), ("source",), alone.tiles)
    assert "as many of source" in str(both)
    assert "source" not in str(alone)
    size = sum(len(data) for name, data in read_tiles(made / "tiles").items() if name.startswith("source/"))
    assert both.bytes - alone.bytes == pytest.approx(size, rel=0.3)


def test_tiles_that_are_cut_have_none(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="imagery itself"):
        tile(made / "a.tif", tmp_path / "t", card=quick_engine.card, with_source=True)
    assert not list(tmp_path.iterdir())
