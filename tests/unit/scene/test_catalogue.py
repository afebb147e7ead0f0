"""Lists of scenes, and jobs that know where their sheets lie."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

import geo2map.api
from geo2map.cluster import JobFile, PartFolder, merge_parts, plan_job, render_shard
from geo2map.errors import OutputError, PlanError, SceneError
from geo2map.scene.discover import find_scenes, mosaic_name
from geo2map.scene.reader import Scene
from geo2map.testing import make_card

CARD = make_card(name="cut", margin=0, size_multiple=1)
CUT = {"zoom": 17, "block_span": 1, "match": "none"}


def item(name: str, **assets: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "assets": assets,
        "geometry": None,
        "properties": {},
    }


def write_sheet(path: Path, column: int) -> None:
    pixels = np.random.default_rng(column).integers(1, 255, (3, 10, 10), dtype=np.uint8).repeat(30, 1).repeat(30, 2)
    profile = {"driver": "GTiff", "width": 300, "height": 300, "count": 3, "dtype": "uint8", "nodata": 0}
    matrix = Affine(0.9, 0, 590_000 + column * 260, 0, -0.9, 4_510_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32618", transform=matrix) as dataset:
        dataset.write(pixels)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Four sheets in a row that overlap a little, and the items that speak of them."""
    (tmp_path / "sheets").mkdir()
    items = []
    for number in range(4):
        write_sheet(tmp_path / "sheets" / f"s{number}.tif", number)
        picture = {"href": f"./sheets/s{number}.tif", "roles": ["visual"], "type": "image/tiff; application=geotiff"}
        items.append(item(f"s{number}", B04={"href": "x.tif", "roles": ["data"]}, picture=picture))
    path = tmp_path / "town.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def test_a_catalogue_lists_scenes(catalogue: Path, tmp_path: Path) -> None:
    found = find_scenes(catalogue)
    assert found == [str(tmp_path / "sheets" / f"s{number}.tif") for number in range(4)]
    assert mosaic_name(str(catalogue), found) == "town"
    (tmp_path / "list.txt").write_text("# all\nsheets/s1.tif\n\nhttps://example.org/a.tif\n")
    assert find_scenes([tmp_path / "list.txt"]) == [found[1], "https://example.org/a.tif"]


@pytest.mark.parametrize(
    ("assets", "chosen"),
    [
        (
            {"data": {"href": "d.tif", "roles": ["data"]}, "thumbnail": {"href": "t.png", "roles": ["thumbnail"]}},
            "d.tif",
        ),
        ({"visual": {"href": "v.tif"}, "B02": {"href": "b.tif", "roles": ["data"]}}, "v.tif"),
        (
            {
                "visual-jp2": {"href": "v.jp2", "roles": ["visual"], "type": "image/jp2"},
                "visual": {"href": "v.tif", "roles": ["visual"], "type": "image/tiff"},
            },
            "v.tif",
        ),
        (
            {
                "shown": {"href": "v.png", "roles": ["visual"], "type": "image/png"},
                "real": {"href": "v.tif", "roles": ["visual", "data"], "type": "image/tiff"},
            },
            "v.tif",
        ),
    ],
)
def test_the_asset_that_shows_colours(assets: dict[str, Any], chosen: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(item("a", **assets)))
    assert find_scenes(tmp_path / "one.json") == [str(tmp_path / chosen)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "must be a STAC ItemCollection"),
        ("[]", "must be a STAC ItemCollection"),
        (json.dumps({"type": "Catalog", "links": []}), "STAC Catalog, whose items are elsewhere"),
        (json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature"}]}), "features have no assets"),
        (json.dumps({"type": "FeatureCollection", "features": []}), "lists no scenes"),
        (
            json.dumps(item("a", B1={"href": "1.tif", "roles": ["data"]}, B2={"href": "2.tif", "roles": ["data"]})),
            "2 of",
        ),
        (json.dumps(item("a", B1="1.tif")), "check its assets"),
    ],
)
def test_what_is_no_catalogue_says_so(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(SceneError, match=said):
        find_scenes(tmp_path / "c.json")


def test_only_sheets_of_a_shard_are_opened(catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job knows where its sheets lie: a worker opens those it reads, and the map is that of one process."""
    order = plan_job(catalogue, model=None, card=CARD, shard_zoom=17, order="last", **CUT)
    assert order.sheets is not None
    order.write(tmp_path / "a.job.json")
    assert JobFile.read(tmp_path / "a.job.json") == order
    opened: list[str] = []
    known = Scene.__init__

    def note(self: Scene, path: str, *arguments: Any, **options: Any) -> None:
        opened.append(Path(str(path)).name)
        known(self, path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Scene, "__init__", note)
        render_shard(order, next(order.shards()), tmp_path / "parts")
        assert set(opened) <= {"s0.tif", "s1.tif"}
        assert opened
    for shard in order.shards():
        render_shard(order, shard, tmp_path / "parts")
    merge_parts(tmp_path / "parts", tmp_path / "m.pmtiles")
    geo2map.api.tile(catalogue, tmp_path / "w.pmtiles", card=CARD, order="last", **CUT)
    assert (tmp_path / "m.pmtiles").read_bytes() == (tmp_path / "w.pmtiles").read_bytes()


def test_a_sheet_that_changed_is_refused(catalogue: Path, tmp_path: Path) -> None:
    order = plan_job(catalogue, model=None, card=CARD, shard_zoom=17, **CUT)
    write_sheet(tmp_path / "sheets" / "s0.tif", 77)
    with pytest.raises(SceneError, match="since the job was planned"):
        render_shard(order, next(order.shards()), tmp_path / "parts")
    text = order.to_json().replace('"top_down": [0, 1', '"top_down": [1, 0')
    with pytest.raises(PlanError, match="changed after"):
        JobFile.from_json(text)


def test_a_late_worker_makes_no_folder(catalogue: Path, tmp_path: Path) -> None:
    """The run that it works for has ended, and the folder of parts is gone."""
    order = plan_job(catalogue, model=None, card=CARD, shard_zoom=17, **CUT)
    shard = next(order.shards())
    with pytest.raises(OutputError, match="has ended"):
        render_shard(order, shard, tmp_path / "parts", make=False)
    folder = PartFolder(tmp_path / "parts")
    render_shard(order, shard, folder.path)
    (folder.path / "mine.txt").write_text("a user's")
    folder.remove()
    assert [path.name for path in folder.path.iterdir()] == ["mine.txt"]
    (folder.path / "mine.txt").unlink()
    folder.remove()
    assert not list(tmp_path.glob("*parts*"))


def test_extras_are_not_imported_by_themselves() -> None:
    """`pip install geo2map` has neither distributed nor obstore."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('distributed', 'dask', 'obstore', 'pystac')));"
        "import geo2map, geo2map.api, geo2map.cluster.dask, geo2map.cluster.sending, geo2map.buckets.objects;"
        "import geo2map_cli.main, geo2map_cli.render, geo2map_cli.merge, geo2map_cli.plan"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lists_from_any_editor(encoding: str, tmp_path: Path) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "list.txt").write_bytes(mark + "# sheets\r\na b.tif\r\nß.tif\r\n".encode(encoding))
    assert find_scenes(tmp_path / "list.txt") == [str(tmp_path / "a b.tif"), str(tmp_path / "ß.tif")]
    items = json.dumps(item("a", visual={"href": "a.tif"}))
    (tmp_path / "item.json").write_bytes(mark + items.encode(encoding))
    assert find_scenes(tmp_path / "item.json") == [str(tmp_path / "a.tif")]


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"list of scenes not found: .*country\.txt; check the path"):
        find_scenes(tmp_path / "country.txt")
    (tmp_path / "latin.txt").write_bytes("ß.tif\n".encode("latin-1"))
    with pytest.raises(SceneError, match="neither UTF-8 nor UTF-16 text; save it as UTF-8"):
        find_scenes(tmp_path / "latin.txt")


def test_lists_may_name_files_as_other_programs_do(tmp_path: Path) -> None:
    (tmp_path / "a b.tif").touch()
    archive = tmp_path / "a.zip"
    (tmp_path / "list.txt").write_text(f"{(tmp_path / 'a b.tif').as_uri()}\nzip://{archive}!/in/x.tif\n")
    assert find_scenes(tmp_path / "list.txt") == [str(tmp_path / "a b.tif"), f"/vsizip/{archive}/in/x.tif"]
