"""Class maps: codes that are the same in every tile and in the raster, names and colours for GDAL and QGIS."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest
import rasterio
from every_container import tiles_in

from geo2map.api.classes import resolve_legend
from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError, PlanError, TileSetError
from geo2map.grid import PixelWindow
from geo2map.ledger import OutputOptions, open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, IdentityTranslator, fake_job, make_card
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.pyramid import make_parent
from geo2map.types import Tile

cog_validate = pytest.importorskip("rio_cogeo", reason="needs rio-cogeo").cog_validate

NAMES = ["land", "building", "road", "water", "park", "highway"]
WINDOW = PixelWindow(256 * 9 + 10, 256 * 5, 256 * 12, 256 * 8 - 30)
PLAN = Plan(name="town", view=View(6), window=WINDOW, block_span=2)
CLASSES = Storage(minzoom=3, classes=True, legend=MAPS_PALETTE.entries)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Patches of the palette's colours with noise, and a hole."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 7, (WINDOW.height // 8 + 1, WINDOW.width // 8 + 1))
    pixels = MAPS_PALETTE.colours[numbers].repeat(8, 0).repeat(8, 1)[: WINDOW.height, : WINDOW.width]
    pixels = np.clip(pixels.astype(int) + rng.integers(-2, 3, pixels.shape), 0, 255).astype(np.uint8)
    mask = np.ones(pixels.shape[:2], dtype=np.bool_)
    mask[100:300, 50:200] = False
    return pixels, mask


def render(out: Path, *, overwrite: bool = False) -> None:
    with open_output(out, fake_job(PLAN, CLASSES, IdentityTranslator()), OutputOptions(overwrite=overwrite)) as output:
        run(ArraySource(WINDOW, *scene()), IdentityTranslator(), output)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes")
    for name in ("tiles", "map.tif"):
        render(folder / name)
    return folder


def codes(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_a_raster_of_codes(made: Path) -> None:
    pixels, mask = scene()
    expected = np.where(mask, MAPS_PALETTE.classify(pixels), 255)
    found = codes(made / "map.tif")[:, 10:]
    assert np.array_equal(found[: WINDOW.height], expected)
    with rasterio.open(made / "map.tif") as dataset:
        assert (dataset.count, dataset.dtypes[0], dataset.nodata) == (1, "uint8", 255)
        table = dataset.colormap(1)
    assert [table[code][:3] for code in range(6)] == [
        next(colour for name, colour in MAPS_PALETTE.entries if name == wanted) for wanted in NAMES
    ]
    assert cog_validate(made / "map.tif", strict=True, quiet=True) == (True, [], [])


def test_codes_are_the_same_in_every_tile(made: Path) -> None:
    whole = np.full((4 * 256, 4 * 256), 6, np.uint8)
    for tile, data in tiles_in(made / "tiles").items():
        with PIL.Image.open(io.BytesIO(data)) as picture:
            assert picture.mode == "P"
            assert picture.getpalette()[: 3 * 6] == [n for level in range(6) for n in _first(level)]
            if tile.z == 6:
                at = np.s_[(tile.y - 5) * 256 : (tile.y - 4) * 256, (tile.x - 9) * 256 : (tile.x - 8) * 256]
                whole[at] = np.asarray(picture)
    found = codes(made / "map.tif")
    assert np.array_equal(np.where(found == 255, 6, found), whole[: found.shape[0], : found.shape[1]])


def _first(code: int) -> tuple[int, int, int]:
    return next(colour for name, colour in MAPS_PALETTE.entries if name == NAMES[code])


def test_parents_are_what_most_of_their_pixels_are(made: Path) -> None:
    base = codes(made / "map.tif")
    with rasterio.open(made / "map.tif", OVERVIEW_LEVEL=0) as dataset:
        overview = dataset.read(1)
    found = {place: overview[place] for place in [(0, 120), (60, 200), (250, 150), (300, 300)]}
    for (row, column), code in found.items():
        four = base[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].ravel()
        valid = four[four != 255].tolist()
        assert valid.count(code) == max(map(valid.count, valid))
    assert set(np.unique(overview)) <= {0, 1, 2, 3, 4, 5, 255}
    assert check(made / "map.tif").ok
    assert check(made / "tiles").ok


def test_a_vote() -> None:
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:2, :2] = [[[1, 1, 1], [2, 2, 2]], [[2, 2, 2], [3, 3, 3]]]
    pixels[:2, 2:4] = [[[9, 0, 0], [7, 0, 0]], [[7, 0, 0], [9, 0, 0]]]
    pixels[:2, 4:6] = [[[5, 0, 0], [5, 0, 0]], [[5, 0, 0], [8, 0, 0]]]
    mask = np.ones((256, 256), dtype=np.bool_)
    mask[0, 4:6] = mask[1, 4] = False
    mask[2:4, :2] = False
    parent, valid = make_parent({(0, 0): (pixels, mask)}, majority=True)
    assert parent[0, :3].tolist() == [[2, 2, 2], [9, 0, 0], [8, 0, 0]]
    assert valid[0, :3].all()
    assert not valid[1, 0]
    assert not valid[128:].any()


def test_names_beside_the_raster(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == [
        ".map.tif.journal",
        "map.qml",
        "map.tif",
        "map.tif.aux.xml",
        "tiles",
    ]
    style = ElementTree.parse(made / "map.qml").getroot()
    assert [entry.get("label") for entry in style.iter("paletteEntry")] == NAMES
    document = json.loads((made / "tiles" / "tilejson.json").read_text(encoding="utf-8"))
    assert [name for name, _ in document["geo2map"]["classes"]] == NAMES


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo (Debian's gdal-bin) is not installed")
def test_gdal_knows_the_names(made: Path) -> None:
    asked = ["gdalinfo", "-json", str(made / "map.tif")]
    report = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    rows = report["rat"]["row"]
    assert [row["f"][:2] for row in rows] == [[code, name] for code, name in enumerate(NAMES)]
    text = subprocess.run(asked[:1] + asked[2:], check=True, capture_output=True, text=True).stdout
    assert "3: water" in text


def test_every_kind_keeps_the_codes(made: Path, tmp_path: Path) -> None:
    convert(made / "tiles", tmp_path / "a.pmtiles")
    convert(tmp_path / "a.pmtiles", tmp_path / "a.tif")
    convert(tmp_path / "a.tif", tmp_path / "back")
    assert (tmp_path / "a.tif").read_bytes() == (made / "map.tif").read_bytes()
    assert (tmp_path / "a.tif.aux.xml").read_bytes() == (made / "map.tif.aux.xml").read_bytes()
    tiles = tiles_in(made / "tiles")
    assert tiles_in(tmp_path / "a.pmtiles") == tiles
    zooms = {tile.z for tile in tiles_in(tmp_path / "back")}
    assert tiles_in(tmp_path / "back") == {tile: data for tile, data in tiles.items() if tile.z in zooms}
    assert 6 in zooms
    convert(made / "tiles", tmp_path / "one", zooms=(6, 6))
    convert(tmp_path / "one", tmp_path / "b.tif")
    assert np.array_equal(codes(tmp_path / "b.tif"), codes(made / "map.tif"))
    with pytest.raises(TileSetError, match="class tiles, which are PNG"):
        convert(made / "tiles", tmp_path / "c", format="webp")


def test_a_second_run_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    (tmp_path / "map.qml").write_text("my own")
    render(tmp_path / "map.tif")
    assert (tmp_path / "map.tif").read_bytes() == (made / "map.tif").read_bytes()
    assert (tmp_path / "map.qml").read_text() == "my own"


def test_classes_are_those_of_the_model() -> None:
    asked = Storage(classes=True)
    assert resolve_legend(asked, make_card(palette=MAPS_PALETTE)).legend == MAPS_PALETTE.entries
    for card in (None, make_card(palette=None)):
        with pytest.raises(PlanError) as caught:
            resolve_legend(asked, card)
        assert caught.value.option == "classes"
    for options in ({"format": "webp"}, {"palette": "maps"}, {"compress": "webp"}):
        with pytest.raises(DataError, match="classes: written as PNG"):
            Storage(classes=True, **options)


def test_a_tile_of_other_colours_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "tiles", tmp_path / "tiles")
    path = next((tmp_path / "tiles" / "6").rglob("*.png"))
    PIL.Image.new("RGB", (256, 256), (1, 2, 3)).save(path)
    tile = Tile(int(path.parent.name), int(path.stem), 6)
    with pytest.raises(TileSetError, match=rf"tile 6/{tile.x}/{tile.y}: colour \(1, 2, 3\): not among the 6"):
        convert(tmp_path / "tiles", tmp_path / "a.tif")
    assert decode_tile(path.read_bytes())[1].all()
