"""Confidence goes wherever the map goes: updates, shards, the live server, buckets, blocks of any size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from asking import fetch
from test_layers import files, tiles_in

from geo2map import check, render, repair, update
from geo2map.api.requests import RenderRequest
from geo2map.api.serving import open_live
from geo2map.cluster import merge_parts, plan_job, render_shard
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.families import build
from geo2map.ledger.finished_record import load_journal
from geo2map.live import ServedSite
from geo2map.live.app import make_app
from geo2map.model import ModelOptions
from geo2map.model.file import save_model
from geo2map.testing import make_card
from geo2map.tiles.codec import decode_tile

SURE: dict[str, Any] = {"with_confidence": True, "block_span": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelOptions:
    """A network of random weights with a legend, a few ms a tile."""
    torch.manual_seed(5)
    legend = [list(colour) for _, colour in MAPS_PALETTE.entries]
    config = {"widths": [8, 8, 8], "legend": legend}
    network = build("unet", **config).eval()  # type: ignore[arg-type]
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.4)
    card = make_card(config=config, size_multiple=8, margin=network.margin, palette=MAPS_PALETTE)
    path = tmp_path_factory.mktemp("model") / "legend.safetensors"
    save_model(path, network.state_dict(), card)
    return ModelOptions(model=path, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def made(model: ModelOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of the town and its map with confidence, span 2; not to be changed."""
    from geo2map import make_town

    folder = tmp_path_factory.mktemp("confident")
    make_town(folder / "a.tif", size=600, seed=3)
    render(folder / "a.tif", folder / "tiles", engine=model, **SURE)
    return folder


def percents(path: Path) -> dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]]:
    """Confidence of an output by tile, int (256, 256), and where it is valid."""
    found = {tile: decode_tile(data) for tile, data in tiles_in(path)["confidence"].items()}
    return {(*tile,): (pixels[..., 0].astype(int), mask) for tile, (pixels, mask) in found.items()}


@pytest.mark.parametrize("span", [1, 4, 8])
def test_blocks_of_any_size_tell_the_same_within_one_level(
    made: Path, model: ModelOptions, tmp_path: Path, span: int
) -> None:
    """And the map's bytes are the same with and without."""
    render(made / "a.tif", tmp_path / "t", engine=model, with_confidence=True, block_span=span)
    render(made / "a.tif", tmp_path / "alone", engine=model, block_span=span)
    assert tiles_in(tmp_path / "t")["map"] == tiles_in(tmp_path / "alone")["map"]
    expected, found = percents(made / "tiles"), percents(tmp_path / "t")
    assert found.keys() == expected.keys()
    for tile, (levels, mask) in expected.items():
        np.testing.assert_array_equal(found[tile][1], mask)
        assert np.abs(found[tile][0] - levels)[mask].max() <= 1
        assert np.ptp(levels[mask]) > 10


@pytest.mark.parametrize("name", ["tiles", "town.pmtiles"])
def test_an_update_changes_it(model: ModelOptions, write_sheet: Any, tmp_path: Path, name: str) -> None:
    a, b = write_sheet("a.tif", side=300), write_sheet("b.tif", east=200, south=100, seed=4, side=300)
    first = render(a, tmp_path / name, engine=model, **SURE)
    before = tiles_in(tmp_path / name)["confidence"]
    update(b, tmp_path / name, engine=model)
    journal = load_journal(tmp_path / name)
    assert journal is not None
    frozen = {"rendition": journal.job.plan.view.rendition, "minzoom": first.minzoom}
    journal.close()
    render([a, b], tmp_path / f"whole-{name}", engine=model, **SURE, **frozen)
    found = tiles_in(tmp_path / name)
    assert found["confidence"] != before
    assert found == tiles_in(tmp_path / f"whole-{name}")


def test_a_lost_tile_is_made_again(made: Path, model: ModelOptions, tmp_path: Path) -> None:
    render(made / "a.tif", tmp_path / "t", engine=model, **SURE)
    whole = files(tmp_path / "t")
    next((tmp_path / "t" / "confidence" / "17").rglob("*.png")).unlink()
    assert not check(tmp_path / "t").ok
    assert repair(tmp_path / "t", engine=model).ok
    assert files(tmp_path / "t") == whole


def test_shards_bring_it_along(made: Path, model: ModelOptions, tmp_path: Path) -> None:
    job = plan_job(made / "a.tif", model=model, shard_zoom=16, **SURE)
    shards = list(job.shards())
    assert len(shards) > 1
    for shard in shards:
        render_shard(job, shard, tmp_path / "parts")
    merge_parts(tmp_path / "parts", tmp_path / "merged")
    merge_parts(tmp_path / "parts", tmp_path / "merged.pmtiles")
    assert tiles_in(tmp_path / "merged") == tiles_in(tmp_path / "merged.pmtiles") == tiles_in(made / "tiles")


def test_the_live_server_has_it_at_an_address_of_its_own(made: Path, model: ModelOptions) -> None:
    with open_live(made / "a.tif", engine=model, **SURE) as live:
        app = make_app(ServedSite.of(live))
        for tile, data in tiles_in(made / "tiles")["confidence"].items():
            if tile.z == 17:
                assert fetch(app, f"/confidence/{tile.z}/{tile.x}/{tile.y}.png").content == data


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from buckets import make_bucket, moto, s3_variables

    with moto() as address:
        for name, value in s3_variables(address).items():
            monkeypatch.setenv(name, value)
        make_bucket(address, "town-maps")
        yield "s3://town-maps"


@pytest.mark.parametrize("name", ["tiles/", "town.pmtiles"])
def test_a_bucket_holds_the_bytes_of_the_disk(
    made: Path, model: ModelOptions, tmp_path: Path, bucket: str, name: str
) -> None:
    from geo2map.buckets.objects import open_bucket
    from geo2map.cluster.sending import send_request

    render(made / "a.tif", tmp_path / name, engine=model, **SURE)
    send_request(RenderRequest.of(made / "a.tif", f"{bucket}/{name}", model, SURE))  # type: ignore[arg-type]
    store, _ = open_bucket(f"{bucket}/any")
    held = {item["path"]: bytes(store.get(item["path"]).bytes()) for some in store.list() for item in some}
    local = {path: data for path, data in files(tmp_path).items() if not path.endswith("journal")}
    assert held == local
    assert any("confidence" in path for path in held)


def test_the_report_says_what_is_doubtful(made: Path, model: ModelOptions, tmp_path: Path) -> None:
    """The same as a check says, which reads it from the tiles; nothing without the layer."""
    report = render(made / "a.tif", tmp_path / "t", engine=model, **SURE)
    told = check(tmp_path / "t").doubt
    assert told is not None
    assert report.doubt == told
    assert 0 < told.share < 1
    assert len(told.worst) > 3
    assert report.to_dict()["doubt"] == told.to_dict()
    assert f"{100 * told.share:.1f} % of the map is doubtful" in str(report)
    again = render(made / "a.tif", tmp_path / "t", engine=model, **SURE)
    assert again.complete
    assert again.doubt == told
    plain = render(made / "a.tif", tmp_path / "plain", engine=model, block_span=2)
    assert plain.doubt is None
    assert "doubtful" not in str(plain)
    hidden = render(made / "a.tif", tmp_path / "hidden", engine=model, min_confidence=50, block_span=2)
    assert hidden.doubt is None  # what is doubtful is not in the map


@pytest.mark.parametrize("name", ["t", "t.mbtiles", "t.tif"])
def test_a_resumed_run_reports_the_whole_map(made: Path, model: ModelOptions, tmp_path: Path, name: str) -> None:
    def stop(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        if (stage, done) == ("blocks", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(made / "a.tif", tmp_path / name, engine=model, progress=stop, **SURE)
    resumed = render(made / "a.tif", tmp_path / name, engine=model, **SURE)
    assert resumed.resumed
    assert resumed.translated
    assert resumed.doubt == check(made / "tiles").doubt == check(tmp_path / name).doubt


def test_a_kept_map_reports_what_was_served(made: Path, model: ModelOptions, tmp_path: Path) -> None:
    with open_live(made / "a.tif", engine=model, keep=tmp_path / "t", **SURE) as live:
        tile = next(tile for tile in tiles_in(made / "tiles")["map"] if tile.z == 17)
        assert fetch(make_app(ServedSite.of(live)), f"/{tile.z}/{tile.x}/{tile.y}.png").content
    finished = render(made / "a.tif", tmp_path / "t", engine=model, **SURE)
    assert finished.resumed == 1
    assert finished.doubt == check(made / "tiles").doubt


@pytest.mark.parametrize("name", ["tiles", "town.pmtiles"])
def test_an_updated_map_is_reported_as_a_whole(
    model: ModelOptions, write_sheet: Any, tmp_path: Path, name: str
) -> None:
    a, b = write_sheet("a.tif", side=300), write_sheet("b.tif", east=900, south=100, seed=4, side=300)
    first = render(a, tmp_path / name, engine=model, with_confidence=True, block_span=1)
    report = update(b, tmp_path / name, engine=model)
    assert report.resumed
    assert report.doubt == check(tmp_path / name).doubt != first.doubt


@pytest.mark.parametrize("name", ["merged", "merged.pmtiles"])
def test_a_merge_reports_the_whole_map(made: Path, model: ModelOptions, tmp_path: Path, name: str) -> None:
    job = plan_job(made / "a.tif", model=model, shard_zoom=16, **SURE)
    for shard in job.shards():
        render_shard(job, shard, tmp_path / "parts")
    expected = check(made / "tiles").doubt
    assert expected is not None
    assert merge_parts(tmp_path / "parts", tmp_path / name).doubt == expected
    assert merge_parts(tmp_path / "parts", tmp_path / name).doubt == expected  # complete: from its record


def test_what_is_gone_from_the_map_is_not_counted(model: ModelOptions, write_sheet: Any, tmp_path: Path) -> None:
    """A scene that lost half of its pixels: the tiles of the lost half, and their counts, go."""
    a = write_sheet("a.tif", side=600)
    render(a, tmp_path / "t", engine=model, with_confidence=True, block_span=1)
    with rasterio.open(a, "r+") as scene:
        scene.nodata = 0
        pixels = scene.read()
        pixels[:, :, :300] = 0
        scene.write(pixels)
    report = update(a, tmp_path / "t", engine=model)
    journal = load_journal(tmp_path / "t")
    assert journal is not None
    counted = {tile for tile, _ in journal.doubt.counts()}
    journal.close()
    assert counted == {tile for tile in tiles_in(tmp_path / "t")["confidence"] if tile.z == report.maxzoom}
    assert report.doubt == check(tmp_path / "t").doubt
