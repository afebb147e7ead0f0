"""Layers: one of the tests' own goes wherever the map goes, and nothing but its own file knows what it shows."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from brightness import NAME, brightness_layer
from snapshots import read_tiles

from geo2map import check, repair, update
from geo2map.api import render
from geo2map.api.converting import convert
from geo2map.api.serving import open_live, stored_site
from geo2map.cluster import merge_parts, plan_job, render_shard
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.engine import Engine
from geo2map.errors import DataError, OtherVersionError, OutputError, PlanError
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.model import ModelOptions
from geo2map.protocols import StoredTiles
from geo2map.tiles import layer as layers
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.pyramid import children_of
from geo2map.types import Tile

LAYERED: dict[str, Any] = {"block_span": 2, "layers": (NAME, "source", "classes")}
OPTIONS = LAYERED | {"legend": MAPS_PALETTE.entries}  # the engine of these tests has none of its own


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layers.LAYERS, NAME, brightness_layer)


@pytest.fixture(scope="module")
def made(quick_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of the town, its map alone, and its map with three more layers; not to be changed."""
    from geo2map import make_town

    folder = tmp_path_factory.mktemp("layers")
    make_town(folder / "a.tif", size=600, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(layers.LAYERS, NAME, brightness_layer)
        render(folder / "a.tif", folder / "alone", engine=quick_engine, block_span=2)
        render(folder / "a.tif", folder / "tiles", engine=quick_engine, **OPTIONS)
        render(folder / "a.tif", folder / "town.pmtiles", engine=quick_engine, **OPTIONS)
    return folder


def tiles_in(path: Path) -> dict[str, dict[Tile, bytes]]:
    """Every tile of an output, by layer."""

    def all_tiles(store: StoredTiles) -> dict[Tile, bytes]:
        return {tile: store.get(tile) or b"" for zoom in store.zooms for tile in store.tiles(zoom)}

    with open_tiles(path) as (_, tileset):
        places = find_layers(path, tileset)
    found = {}
    for name, place in places.items():
        with open_tiles(place) as (store, _):
            found[name] = all_tiles(store)
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_map_is_the_same_with_and_without(made: Path) -> None:
    assert tiles_in(made / "tiles")["map"] == tiles_in(made / "alone")["map"]
    assert {path.name for path in (made / "tiles").iterdir() if path.is_dir()} >= {NAME, "source", "classes"}
    grey, mask = decode_tile(next(iter(tiles_in(made / "tiles")[NAME].values())))
    assert np.ptp(grey[mask], axis=1).max() == 0
    assert len(Path(__file__).with_name("brightness.py").read_text().splitlines()) <= 40


def test_an_overview_is_a_mean_or_a_vote_as_the_layer_has_it(made: Path) -> None:
    found = tiles_in(made / "tiles")
    assert all(set(tiles) == set(found["map"]) for tiles in found.values())
    codes = {colour for tile, data in found["classes"].items() for colour in _colours(data) if tile.z < 17}
    assert codes <= {colour for tile, data in found["classes"].items() for colour in _colours(data) if tile.z == 17}


def _colours(data: bytes) -> set[tuple[int, ...]]:
    pixels, mask = decode_tile(data)
    return {tuple(colour) for colour in np.unique(pixels[mask], axis=0).tolist()}


@pytest.mark.parametrize("name", ["t.pmtiles", "t.mbtiles", "t.tif", "folder"])
def test_every_container_holds_them_and_gives_them_back(
    made: Path, quick_engine: Engine, tmp_path: Path, name: str
) -> None:
    report = render(made / "a.tif", tmp_path / name, engine=quick_engine, **OPTIONS)
    assert check(tmp_path / name).ok
    found, expected = tiles_in(tmp_path / name), tiles_in(made / "tiles")
    assert found.keys() == expected.keys()
    for layer in found:
        if name != "t.tif":
            assert found[layer] == expected[layer]
        elif layer != "source":  # whose tiles are lossy where they are tiles
            with rasterio.open(layers.layer_path(tmp_path / name, layer, is_folder=False)) as dataset:
                assert dataset.read(1).any()
    assert not report.complete
    assert render(made / "a.tif", tmp_path / name, engine=quick_engine, **OPTIONS).complete
    convert(tmp_path / name, tmp_path / "back")
    if name != "t.tif":
        assert read_tiles(tmp_path / "back") == read_tiles(made / "tiles")
    assert convert(tmp_path / name, tmp_path / "back").complete


def test_an_interrupted_run_goes_on_with_other_documents(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    """What is beside the tiles may change on the way, and what changes a tile may not."""

    small = OPTIONS | {"block_span": 1}

    def stop(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        if stage == "blocks" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(made / "a.tif", tmp_path / "t", engine=quick_engine, progress=stop, **small)
    with pytest.raises(OutputError, match="layers"):
        render(made / "a.tif", tmp_path / "t", engine=quick_engine, **small | {"layers": (NAME,)})
    address = "https://maps.example/town"
    report = render(made / "a.tif", tmp_path / "t", engine=quick_engine, address=address, **small)
    assert 2 <= report.resumed < 9
    render(made / "a.tif", tmp_path / "whole", engine=quick_engine, **small)
    assert read_tiles(tmp_path / "t") == read_tiles(tmp_path / "whole")
    assert address in (tmp_path / "t" / "tiles.xml").read_text()


def test_damage_is_found_and_repaired_in_each(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    shutil.copytree(made / "tiles", tmp_path / "t")
    whole = files(tmp_path / "t")
    for layer in (NAME, "classes"):
        next((tmp_path / "t" / layer / "17").rglob("*.png")).write_bytes(b"")
    problems = check(tmp_path / "t").problems
    assert {problem.layer for problem in problems} == {NAME, "classes"}
    assert repair(tmp_path / "t", engine=quick_engine).ok
    assert files(tmp_path / "t") == whole


@pytest.mark.parametrize("name", ["tiles", "town.pmtiles"])
def test_an_update_changes_all(quick_engine: Engine, write_sheet: Any, tmp_path: Path, name: str) -> None:
    a, b = write_sheet("a.tif", side=300), write_sheet("b.tif", east=200, south=100, seed=4, side=300)
    first = render(a, tmp_path / name, engine=quick_engine, **OPTIONS)
    update(b, tmp_path / name, engine=quick_engine)
    from geo2map.ledger.finished_record import load_journal

    journal = load_journal(tmp_path / name)
    assert journal is not None
    options = {**OPTIONS, "rendition": journal.job.plan.view.rendition, "minzoom": first.minzoom}
    journal.close()
    render([a, b], tmp_path / f"whole-{name}", engine=quick_engine, **options)
    assert tiles_in(tmp_path / name) == tiles_in(tmp_path / f"whole-{name}")
    assert check(tmp_path / name).ok


def test_the_live_server_has_them(made: Path, quick_engine: Engine) -> None:
    expected = tiles_in(made / "tiles")
    with open_live(made / "a.tif", engine=quick_engine, **OPTIONS) as live:
        assert set(live.layers) == set(expected)
        for name in (NAME, "classes", "source"):
            tile = next(tile for tile in expected[name] if tile.z == 17)
            assert live.layers[name].ask(tile).result() == expected[name][tile]
    with stored_site(made / "town.pmtiles") as site:
        tile = next(tile for tile in expected[NAME] if tile.z == 17)
        assert site.layers[f"{NAME}/"].ask(tile).result() == expected[NAME][tile]


@pytest.fixture(scope="module")
def scored(engine: Engine, made: Path) -> dict[str, dict[Tile, bytes]]:
    """The tiles of the town with evidence, by the packaged model."""
    render(made / "a.tif", made / "scored", engine=engine, layers=("evidence",), block_span=2)
    return tiles_in(made / "scored")


def test_evidence_is_asked_for_and_changes_no_byte_of_the_map(
    made: Path, engine: Engine, scored: dict[str, dict[Tile, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "begin_scored", None)  # whoever draws a map alone does not ask
    render(made / "a.tif", made / "plain", engine=engine, block_span=2)
    assert tiles_in(made / "plain")["map"] == scored["map"]
    assert set(scored["evidence"]) == set(scored["map"])
    drawn, told = (np.concatenate([decode_tile(data)[0] for data in scored[name].values()]) for name in scored)
    assert not told[..., 2].any()
    classes = engine.card.palette.classify(drawn.reshape(-1, 3)).reshape(drawn.shape[:2])  # type: ignore[union-attr]
    for band, name in enumerate(("road", "building")):
        inside = classes == engine.card.palette.classes.index(name)  # type: ignore[union-attr]
        assert told[..., band][inside].mean() > 2 * told[..., band][~inside].mean()


def test_a_tile_of_evidence_is_read_as_two_planes(scored: dict[str, dict[Tile, bytes]]) -> None:
    for data in scored["evidence"].values():
        planes, mask = layers.read_evidence(data)
        assert planes.shape == (2, 256, 256)
        np.testing.assert_array_equal(planes.transpose(1, 2, 0), decode_tile(data)[0][..., :2])
        assert not planes[:, ~mask].any()


SURE: dict[str, Any] = {"with_confidence": True, "layers": ("source",), "block_span": 2}


@pytest.fixture(scope="module")
def sure(engine: Engine, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps of the town with confidence, in every container; not to be changed."""
    folder = tmp_path_factory.mktemp("sure")
    for name in ("tiles", "t.pmtiles", "t.mbtiles", "t.tif"):
        render(made / "a.tif", folder / name, engine=engine, **SURE)
    return folder


def test_confidence_is_grey_percent_beside_the_same_map(sure: Path, scored: dict[str, dict[Tile, bytes]]) -> None:
    found = tiles_in(sure / "tiles")
    assert found["map"] == scored["map"]
    percents = []
    for data in found["confidence"].values():
        assert data[25] in (0, 4)  # the PNG's colour type: grey, or grey with alpha
        pixels, mask = decode_tile(data)
        assert np.ptp(pixels, axis=2).max() == 0
        percents.append(pixels[..., 0][mask])
    assert {len(np.unique(some)) > 20 for some in percents} == {True}
    assert max(map(np.max, percents)) <= 100
    for name in ("t.pmtiles", "t.mbtiles"):
        assert tiles_in(sure / name) == found


def test_a_parent_of_confidence_is_the_mean(sure: Path) -> None:
    found = tiles_in(sure / "tiles")["confidence"]
    parent = next(tile for tile in found if tile.z == 16)
    whole, (pixels, mask) = np.zeros((512, 512)), decode_tile(found[parent])
    seen = np.zeros((512, 512), bool)
    for (dx, dy), child in zip(((0, 0), (1, 0), (0, 1), (1, 1)), children_of(parent), strict=True):
        if child in found:
            part = np.s_[256 * dy : 256 * dy + 256, 256 * dx : 256 * dx + 256]
            levels, seen[part] = decode_tile(found[child])
            whole[part] = levels[..., 0]
    four = [array.reshape(256, 2, 256, 2).transpose(0, 2, 1, 3).reshape(256, 256, 4) for array in (whole, seen)]
    full = four[1].all(axis=2)
    assert np.abs(pixels[..., 0][full] - four[0].mean(axis=2)[full]).max() <= 0.5
    np.testing.assert_array_equal(mask, four[1].any(axis=2))


def test_a_raster_of_confidence_has_one_band_of_percent_a_mask_and_a_style(sure: Path, tmp_path: Path) -> None:
    with rasterio.open(sure / "t.confidence.tif") as dataset:
        assert dataset.count == 2
        assert [one.name for one in dataset.colorinterp] == ["gray", "alpha"]
        assert 50 < dataset.read(1).max() <= 100
    assert "singlebandpseudocolor" in (sure / "t.confidence.qml").read_text()
    convert(sure / "t.tif", tmp_path / "back")
    assert tiles_in(tmp_path / "back")["confidence"] == tiles_in(sure / "tiles")["confidence"]


@pytest.mark.parametrize("name", ["tiles", "t.pmtiles", "t.mbtiles", "t.tif"])
def test_a_check_tells_how_much_is_doubtful_and_where_most(sure: Path, name: str) -> None:
    found = tiles_in(sure / "tiles")["confidence"]
    percents = {tile: decode_tile(data) for tile, data in found.items() if tile.z == 17}
    valid = {tile: pixels[..., 0][mask] for tile, (pixels, mask) in percents.items()}
    low, pixels = (sum(map(np.size, some)) for some in ([p[p < 50] for p in valid.values()], valid.values()))
    report = check(sure / name)
    assert report.ok
    assert report.doubt is not None
    assert report.doubt.share == pytest.approx(low / pixels)
    assert 0 < report.doubt.share < 1
    worst = sorted((p.mean(), tile) for tile, p in valid.items() if p.size >= 2**14)
    assert report.doubt.worst == tuple((tile, pytest.approx(mean)) for mean, tile in worst[:10])
    kinds = [feature["properties"]["kind"] for feature in json.loads(report.geojson())["features"]]
    assert kinds.count("doubt") == min(10, len(worst))
    assert "doubtful" in str(report)


def test_a_damaged_tile_of_confidence_is_found_and_repaired(sure: Path, engine: Engine, tmp_path: Path) -> None:
    shutil.copytree(sure / "tiles", tmp_path / "t")
    whole = files(tmp_path / "t")
    next((tmp_path / "t" / "confidence" / "17").rglob("*.png")).write_bytes(b"")
    assert {problem.layer for problem in check(tmp_path / "t").problems} == {"confidence"}
    assert repair(tmp_path / "t", engine=engine).ok
    assert files(tmp_path / "t") == whole


def test_a_threshold_hides_what_is_doubtful(made: Path, sure: Path, engine: Engine, tmp_path: Path) -> None:
    """Pixels below it are transparent in the map and in its classes, overviews follow, and the rest is unchanged."""
    render(made / "a.tif", tmp_path / "t", engine=engine, min_confidence=60, **SURE | {"layers": ("classes",)})
    assert check(tmp_path / "t").ok
    found, before = tiles_in(tmp_path / "t"), tiles_in(sure / "tiles")
    assert found["confidence"] == before["confidence"]
    hidden = 0
    for tile, data in before["map"].items():
        if tile.z < 17:
            continue
        (pixels, mask), percent = decode_tile(data), decode_tile(before["confidence"][tile])[0][..., 0]
        kept = mask & (percent >= 60)
        hidden += int((mask & ~kept).sum())
        for name in ("map", "classes"):
            assert (tile in found[name]) == kept.any()
            if kept.any():
                np.testing.assert_array_equal(decode_tile(found[name][tile])[1], kept)
        if kept.any():
            np.testing.assert_array_equal(decode_tile(found["map"][tile])[0], pixels * kept[..., None])
    assert hidden > 1000
    with pytest.raises(OutputError, match="min confidence"):
        render(made / "a.tif", tmp_path / "t", engine=engine, min_confidence=61, **SURE | {"layers": ("classes",)})


@pytest.mark.parametrize("percent", [0, 101])
def test_a_threshold_out_of_range_is_refused(made: Path, tmp_path: Path, percent: int) -> None:
    with pytest.raises(DataError, match="1 to 100") as caught:
        render(made / "a.tif", tmp_path / "t", min_confidence=percent)
    assert caught.value.option == "min_confidence"


def test_a_threshold_of_a_model_without_scores_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="min_confidence: the model map2sat has no legend") as caught:
        render(made / "a.tif", tmp_path / "t", engine="map2sat", min_confidence=50)
    assert caught.value.option == "min_confidence"


def test_the_live_server_gives_the_same_evidence(
    made: Path, engine: Engine, scored: dict[str, dict[Tile, bytes]]
) -> None:
    with open_live(made / "a.tif", engine=engine, layers=("evidence",), block_span=2) as live:
        tile = next(tile for tile in scored["evidence"] if tile.z == 17)
        assert live.layers["evidence"].ask(tile).result() == scored["evidence"][tile]


def test_evidence_of_a_model_without_scores_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"evidence: the model map2sat has no legend.*leave it out") as caught:
        render(made / "a.tif", tmp_path / "t", engine="map2sat", layers=("evidence",))
    assert caught.value.option == "layers"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_shards_have_them(made: Path, tmp_path: Path) -> None:
    model = ModelOptions(model="sat2map", device="cpu", precision="fp32")
    job = plan_job(made / "a.tif", model=model, shard_zoom=16, **LAYERED)
    for shard in job.shards():
        render_shard(job, shard, tmp_path / "parts")
    merge_parts(tmp_path / "parts", tmp_path / "merged.pmtiles")
    merge_parts(tmp_path / "parts", tmp_path / "merged")
    render(made / "a.tif", tmp_path / "whole", engine=model, **LAYERED)
    assert tiles_in(tmp_path / "merged.pmtiles") == tiles_in(tmp_path / "merged") == tiles_in(tmp_path / "whole")


def test_a_layer_that_does_not_exist_is_refused(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a layer; choose from source, classes, evidence, confidence") as caught:
        render(made / "a.tif", tmp_path / "t", engine=quick_engine, layers=("heights",))
    assert caught.value.option == "layers"
    (tmp_path / f"town.{NAME}.pmtiles").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists, and"):
        render(made / "a.tif", tmp_path / "town.pmtiles", engine=quick_engine, **OPTIONS)
    assert (tmp_path / f"town.{NAME}.pmtiles").read_bytes() == b"mine"


@pytest.mark.parametrize(("options", "option"), [({"classes": True}, "classes"), ({"layers": ("classes",)}, "layers")])
def test_classes_of_a_model_without_a_legend_are_refused_by_the_option_given(
    made: Path, tmp_path: Path, options: dict[str, Any], option: str
) -> None:
    with pytest.raises(PlanError, match="map2sat has no classes") as caught:
        render(made / "a.tif", tmp_path / "t", engine="map2sat", **options)
    assert caught.value.option == option
    assert not (tmp_path / "t").exists()


def test_a_layer_takes_the_name_of_nothing_else(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    """Neither of the scene, nor of an output that has a record of its own, not even where overwriting is allowed."""
    scene = shutil.copy(made / "a.tif", tmp_path / "town.source.tif")
    before = files(tmp_path)
    with pytest.raises(OutputError, match="exists, and"):
        render(scene, tmp_path / "town.tif", engine=quick_engine, layers=("source",), overwrite=True)
    assert files(tmp_path) == before
    render(scene, tmp_path / "b.source.pmtiles", engine=quick_engine)
    before = files(tmp_path)
    with pytest.raises(OutputError, match="exists"):
        render(scene, tmp_path / "b.pmtiles", engine=quick_engine, layers=("source",), overwrite=True)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["town.pmtiles", "town.tif"])
def test_a_layers_file_that_is_damaged_or_lost_is_repaired(
    made: Path, quick_engine: Engine, tmp_path: Path, name: str
) -> None:
    render(made / "a.tif", tmp_path / name, engine=quick_engine, layers=("source",))
    whole = tiles_in(tmp_path / name) if name.endswith(".pmtiles") else files(tmp_path)
    layer = layers.layer_path(tmp_path / name, "source", is_folder=False)
    for damage in (lambda: layer.write_bytes(b"no tiles"), layer.unlink):
        damage()
        assert not check(tmp_path / name).ok
        assert repair(tmp_path / name, engine=quick_engine).ok
        assert (tiles_in(tmp_path / name) if name.endswith(".pmtiles") else files(tmp_path)) == whole


def test_an_interrupted_geotiff_goes_on_with_another_compression(
    made: Path, quick_engine: Engine, tmp_path: Path
) -> None:
    def stop(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        if stage == "blocks" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(made / "a.tif", tmp_path / "t.tif", engine=quick_engine, block_span=1, progress=stop)
    with pytest.raises(OutputError, match="partial results"):
        convert(made / "tiles", tmp_path / "t.tif")
    assert render(made / "a.tif", tmp_path / "t.tif", engine=quick_engine, block_span=1, compress="zstd").resumed >= 2
    with rasterio.open(tmp_path / "t.tif") as dataset:
        assert dataset.compression.value == "ZSTD"


def test_what_another_version_wrote_is_said_to_be_that(made: Path, quick_engine: Engine, tmp_path: Path) -> None:
    """It can be checked and overwritten, and nothing else."""
    render(made / "a.tif", tmp_path / "t.pmtiles", engine=quick_engine)
    with closing(sqlite3.connect(tmp_path / ".t.pmtiles.journal")) as journal, journal:
        journal.execute("UPDATE meta SET value = '1' WHERE key = 'version'")
    assert check(tmp_path / "t.pmtiles").ok
    with pytest.raises(OtherVersionError, match="record of another version"):
        update(made / "a.tif", tmp_path / "t.pmtiles", engine=quick_engine)
    with pytest.raises(OutputError, match="another version"):
        repair(tmp_path / "t.pmtiles", engine=quick_engine)
    assert not render(made / "a.tif", tmp_path / "t.pmtiles", engine=quick_engine, overwrite=True).complete
    assert render(made / "a.tif", tmp_path / "t.pmtiles", engine=quick_engine).complete
