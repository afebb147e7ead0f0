"""A live map has the bytes that a run gives, makes each block once, and what it keeps a run goes on with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import CountingEngine, app_of, fetch_all
from snapshots import read_files, read_tiles
from waiting import PATIENCE

from geo2map import Engine, render
from geo2map.api.serving import open_live
from geo2map.errors import BusyError, Geo2MapError, OutputError, SceneError, TileSetError
from geo2map.families.unet.generator import UNetGenerator
from geo2map.grid import PixelWindow
from geo2map.live import LiveMap
from geo2map.live.layers import Answer
from geo2map.live.wmts import tiles_at
from geo2map.model import save_model
from geo2map.scene.source import SceneSource
from geo2map.tiles.tilejson import ATTRIBUTION
from geo2map.types import Tile

VARIANTS = {
    "span 1": {"block_span": 1},
    "span 2": {"block_span": 2, "format": "jpeg"},
    "span 4": {"block_span": 4, "format": "webp"},
    "span 8": {"block_span": 8, "palette": [(0, 0, 0), (90, 90, 90), (180, 190, 200)]},
}


def around(window: PixelWindow) -> list[tuple[int, int]]:
    """Columns and rows of a range of tiles, and one more on every side."""
    return [(x, y) for x in range(window.left - 1, window.right + 1) for y in range(window.top - 1, window.bottom + 1)]


def path_of(tile: Tile, suffix: str) -> str:
    return f"{tile.z}/{tile.x}/{tile.y}{suffix}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tile_is_the_one_that_render_writes(
    variant: str, quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    scene, options = write_sheet("a.tif", side=420), {**VARIANTS[variant], "minzoom": 10}
    render(scene, tmp_path / "tiles", engine=quick_engine, **options)
    written = read_tiles(tmp_path / "tiles")
    with open_live(scene, engine=quick_engine, **options) as live:
        tileset, suffix = live.map.tileset, live.job.storage.codec.suffix
        assert (tileset.minzoom, tileset.maxzoom) == (14, 17)
        tiles = [Tile(x, y, zoom) for zoom in range(14, 18) for x, y in around(tiles_at(tileset, zoom))]
        paths = [path_of(tile, suffix) for tile in tiles]
        answers = dict(zip(paths, fetch_all(app_of(live), [f"/{path}" for path in paths]), strict=True))
        served = {path: answer.content for path, answer in answers.items() if answer.status_code == 200}
        assert served == {path: data for path, data in written.items() if int(path.split("/")[0]) >= 14}
        assert {answer.status_code for answer in answers.values()} <= {200, 204, 404}
        finest = [Path(path).with_suffix("").parts for path in written if path.startswith("17/")]
        span = options["block_span"]
        assert live.tally.get("blocks", "map", "made") == len({(int(x) // span, int(y) // span) for _, x, y in finest})


def test_an_area_of_interest_and_what_lies_beside_it(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif", side=420)
    with open_live(scene, engine=quick_engine) as live:
        west, south, east, north = live.map.tileset.to_dict()["bounds"]
    aoi = (west, south, west + 0.4 * (east - west), south + 0.4 * (north - south))
    render(scene, tmp_path / "tiles", engine=quick_engine, aoi=aoi, clip=True, minzoom=14, block_span=1)
    with open_live(scene, engine=quick_engine, aoi=aoi, clip=True, minzoom=14, block_span=1) as live:
        tiles = [Tile(x, y, z) for z in (14, 15, 16, 17) for x, y in around(tiles_at(live.map.tileset, z))]
        answers = fetch_all(app_of(live), [f"/{path_of(tile, '.png')}" for tile in tiles])
    served = {path_of(t, ".png"): a.content for t, a in zip(tiles, answers, strict=True) if a.status_code == 200}
    assert served == read_tiles(tmp_path / "tiles")


def test_the_source_is_the_scene_itself(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine)
    with open_live(write_sheet("a.tif", side=420), engine=engine, minzoom=14) as live:
        tiles = [Tile(x, y, z) for z in (14, 17) for x, y in around(tiles_at(live.layers["source"].tileset, z))]
        answers = fetch_all(app_of(live), [f"/source/{path_of(tile, '.webp')}" for tile in tiles])
        assert [a.headers["content-type"] for a in answers if a.status_code == 200].count("image/webp") >= 4
        assert engine.translated == 0


def test_sixteen_tiles_of_a_block_are_one_translation(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine)
    with open_live(write_sheet("a.tif", side=1700), engine=engine) as live:
        block = next(b for b in live.job.plan.blocks() if b.columns == b.rows == 4)
        paths = [f"/{path_of(tile, '.png')}" for tile in block.tiles]
        answers = fetch_all(app_of(live), [*paths, *paths])
        assert len(answers) == 32
        assert sum(answer.status_code == 200 for answer in answers) >= 24  # the scene lies askew: a corner may be empty
        assert {answer.status_code for answer in answers} <= {200, 204}
        assert engine.batches == [1]
        fetch_all(app_of(live), paths)
        assert engine.batches == [1]


def test_equal_shapes_are_translated_together(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine, batch=4)
    with open_live(write_sheet("a.tif"), engine=engine, block_span=1) as live:
        tiles = [tile for block in live.job.plan.blocks() for tile in block.tiles]
        with engine.held():
            first = live.map.ask(tiles[0])
            assert engine.busy.wait(PATIENCE)
            others = [live.map.ask(tile) for tile in tiles[1:9]]
            while live.queue.count("ready") < 4:
                assert live.queue.count("queued") + live.queue.count("reading")
        assert first.result(PATIENCE)
        assert all(answer.result(PATIENCE) for answer in others)
    assert engine.batches[0] == 1
    assert max(engine.batches) > 1
    assert engine.translated == 9


def test_what_is_kept_is_gone_on_with(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene, options = write_sheet("a.tif", side=420), {"block_span": 1, "minzoom": 13}
    whole = render(scene, tmp_path / "whole", engine=quick_engine, **options)
    engine = CountingEngine(quick_engine)
    with open_live(scene, engine=engine, keep=tmp_path / "tiles", **options) as live:
        blocks = list(live.job.plan.blocks())
        wanted = [f"/{path_of(tile, '.png')}" for block in blocks[3:6] for tile in block.tiles]
        before = [answer.content for answer in fetch_all(app_of(live), wanted)]
    assert not (tmp_path / "tiles").exists()
    again = CountingEngine(quick_engine)
    with open_live(scene, engine=again, keep=tmp_path / "tiles", **options) as live:
        assert live.kept is not None
        assert len(live.kept) == 3
        assert [answer.content for answer in fetch_all(app_of(live), wanted)] == before
        assert again.translated == 0
        parent = live.map.ask(Tile(blocks[3].x >> 3, blocks[3].y >> 3, 14)).result(PATIENCE)
        assert (
            parent == (tmp_path / "whole" / path_of(Tile(blocks[3].x >> 3, blocks[3].y >> 3, 14), ".png")).read_bytes()
        )
    rest = CountingEngine(quick_engine)
    report = render(scene, tmp_path / "tiles", engine=rest, **options)  # type: ignore[arg-type]
    assert report.resumed == 3 + again.translated
    assert engine.translated + again.translated + rest.translated == whole.translated
    assert read_files(tmp_path / "tiles", hidden=False) == read_files(tmp_path / "whole", hidden=False)
    with pytest.raises(OutputError, match="exists already"), open_live(scene, engine=engine, keep=tmp_path / "tiles"):
        pass


def test_one_file_is_kept_for_as_well(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif", side=420)
    render(scene, tmp_path / "whole.pmtiles", engine=quick_engine, block_span=2)
    with open_live(scene, engine=quick_engine, keep=tmp_path / "a.pmtiles", block_span=2) as live:
        block = next(live.job.plan.blocks())
        assert live.map.ask(next(block.tiles)).result(PATIENCE)
    assert render(scene, tmp_path / "a.pmtiles", engine=quick_engine, block_span=2).resumed == 1
    assert (tmp_path / "a.pmtiles").read_bytes() == (tmp_path / "whole.pmtiles").read_bytes()


@pytest.mark.parametrize("name", ["a.tif", "a.mbtiles", "tiles"])
def test_the_source_is_shown_but_kept_only_where_it_is_a_layer(
    quick_engine: Engine, write_sheet: Any, tmp_path: Path, name: str
) -> None:
    scene = write_sheet("scene.tif", side=300)
    for layers, out in (((), tmp_path / "without" / name), (("source",), tmp_path / "with" / name)):
        with open_live(scene, engine=quick_engine, keep=out, layers=layers, block_span=2) as live:
            tile = next(next(live.job.plan.blocks()).tiles)
            assert all(live.layers[layer].ask(tile).result(PATIENCE) for layer in ("map", "source"))
        assert render(scene, out, engine=quick_engine, layers=layers, block_span=2).resumed == 1
        render(scene, tmp_path / "whole" / name, engine=quick_engine, layers=layers, block_span=2, overwrite=True)
        assert read_files(out.parent, hidden=False) == read_files(tmp_path / "whole", hidden=False)


KILLED = """
    import os, sys, time
    from geo2map.api.serving import open_live

    with open_live(sys.argv[1], engine=sys.argv[3], keep=sys.argv[2], block_span=1) as live:
        tiles = [next(block.tiles) for block in live.job.plan.blocks()][:5]
        for tile in tiles:
            live.map.ask(tile).result(60)
        end = time.monotonic() + 60
        while len(live.kept) < 3:
            assert time.monotonic() < end
        os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_server_that_was_killed_lost_nothing(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif")
    model = tmp_path / "quick.safetensors"
    torch.manual_seed(0)
    save_model(model, UNetGenerator((8,) * 4).state_dict(), quick_engine.card)
    arguments = [sys.executable, "-c", textwrap.dedent(KILLED), scene, tmp_path / "tiles", model]
    killed = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with open_live(scene, engine=model, keep=tmp_path / "tiles", block_span=1) as live:
        assert live.kept is not None
        assert len(live.kept) >= 3
    render(scene, tmp_path / "tiles", engine=model, block_span=1)
    render(scene, tmp_path / "whole", engine=model, block_span=1)
    assert read_files(tmp_path / "tiles", hidden=False) == read_files(tmp_path / "whole", hidden=False)


def test_lower_zooms_come_from_a_finished_set(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene, options = write_sheet("a.tif"), {"minzoom": 11}
    render(scene, tmp_path / "tiles", engine=quick_engine, **options)
    written = {path: data for path, data in read_tiles(tmp_path / "tiles").items() if int(path.split("/")[0]) < 14}
    with open_live(scene, engine=quick_engine, under=tmp_path / "tiles", **options) as live:
        assert live.map.tileset.minzoom == 11
        answers = fetch_all(app_of(live), [f"/{path}" for path in written])
        assert [answer.content for answer in answers] == list(written.values())
    document = json.loads((tmp_path / "tiles" / "tilejson.json").read_text())
    (tmp_path / "tiles" / "tilejson.json").write_text(json.dumps(document | {"attribution": "(c) Q"}))
    with open_live(scene, engine=quick_engine, under=tmp_path / "tiles", **options) as live:
        assert live.map.tileset.attribution == f"{ATTRIBUTION} | (c) Q"
    render(scene, tmp_path / "map.tif", engine=quick_engine, **options)
    with open_live(scene, engine=quick_engine, under=tmp_path / "map.tif", **options) as live:
        assert live.map.tileset.minzoom == 14  # a raster's overviews end where it is one tile, which are here live ones
    with (
        pytest.raises(TileSetError, match="one format"),
        open_live(scene, engine=quick_engine, under=tmp_path / "tiles", format="webp"),
    ):
        pass


# Clients that leave, queues that are full


def test_a_client_that_leaves_frees_its_place(quick_engine: Engine, write_sheet: Any) -> None:
    engine = CountingEngine(quick_engine)
    with open_live(write_sheet("a.tif"), engine=engine, block_span=1, queue=3) as live:
        blocks = [next(block.tiles) for block in live.job.plan.blocks()]
        with engine.held():
            first = live.map.ask(blocks[0])
            assert engine.busy.wait(PATIENCE)
            waiting = list(answers_until_refused(live, blocks[1:]))
            assert len(waiting) >= 3
            stayed = live.map.ask(blocks[1])  # somebody else wants this one, too
            for answer in waiting:
                assert answer.cancel()
            assert live.queue.waiting == 2
            fresh = [live.map.ask(tile) for tile in blocks[-2:]]
        assert all(answer.result(PATIENCE) for answer in (first, stayed, *fresh))
        while live.queue.count("reading"):
            pass
        assert engine.translated == 4
        assert live.tally.get("clients", "left") == len(waiting)
        assert live.tally.get("blocks", "map", "dropped") == len(waiting) - 1


def answers_until_refused(live: LiveMap, tiles: list[Tile]) -> Iterator[Answer]:
    """Asks for more and more."""
    for tile in tiles:
        try:
            yield live.map.ask(tile)
        except BusyError:
            return
    pytest.fail("the queue has no end")


def test_a_disconnect_is_a_leaving(quick_engine: Engine, write_sheet: Any) -> None:
    """Over ASGI: the server tells of it by a message."""
    engine = CountingEngine(quick_engine)
    with open_live(write_sheet("a.tif"), engine=engine, block_span=1) as live:
        app, tiles = app_of(live), [next(block.tiles) for block in live.job.plan.blocks()]
        sent: list[Any] = []

        async def visit() -> None:
            left = asyncio.Event()

            async def receive() -> dict[str, Any]:
                await left.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "GET", "path": f"/{path_of(tiles[-1], '.png')}", "headers": []}
            scope |= {"query_string": b"", "scheme": "http", "server": ("127.0.0.1", 1), "root_path": ""}
            asking = asyncio.ensure_future(app({**scope, "app": app}, receive, send))
            while not live.queue.waiting:
                await asyncio.sleep(0.01)
            left.set()
            await asyncio.wait_for(asking, PATIENCE)

        with engine.held():
            hold = [live.map.ask(tile) for tile in tiles[:4]]
            assert engine.busy.wait(PATIENCE)
            for answer in hold[1:]:
                answer.cancel()
            asyncio.run(visit())
            assert live.queue.waiting == (0 if hold[0].done() else 1)
        assert sent == []
        assert live.tally.get("tiles", "map", "17", "left") == 1


def test_a_scene_that_breaks_is_one_sentence(
    quick_engine: Engine, write_sheet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_live(write_sheet("a.tif"), engine=quick_engine) as live:
        tile = next(next(live.job.plan.blocks()).tiles)
        with monkeypatch.context() as patch:
            patch.setattr(SceneSource, "read", lambda *_: (_ for _ in ()).throw(SceneError("/secret/a.tif went away")))
            (answer,) = fetch_all(app_of(live), [f"/{path_of(tile, '.png')}"])
        assert answer.status_code == 500
        assert list(answer.json()) == ["error"]
        assert "secret" not in answer.text
        (answer,) = fetch_all(app_of(live), [f"/{path_of(tile, '.png')}"])  # it came back
        assert answer.status_code == 200


def test_nonsense_is_refused_before_anything(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    scene = write_sheet("a.tif")
    for options in ({"queue": 0}, {"cache": 0}, {"keep": tmp_path / "a.xyz"}, {"under": tmp_path / "no"}):
        with pytest.raises(Geo2MapError), open_live(scene, engine=quick_engine, **options):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif"]
