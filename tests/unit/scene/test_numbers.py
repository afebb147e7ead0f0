"""What files say of the meaning of their numbers: obeyed, or told in a note."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter
from rasterio.vrt import WarpedVRT
from rasters import write_raster

from geo2map import grid
from geo2map.colour.stretch import SHOWN, stretch_of_bits
from geo2map.colour.transform import make_rendition
from geo2map.errors import BandError
from geo2map.grid.block import Block
from geo2map.scene import ColourTransform, Scene, SceneCollection, View, open_scene, open_scenes

ZOOM = 17
SIDE = 64
SIZE = grid.mercator_resolution(ZOOM)
GRID = Affine(SIZE, 0, 38617 * 256 * SIZE - grid.HALF_WORLD, 0, -SIZE, grid.HALF_WORLD - 49269 * 256 * SIZE)
PLAIN = ColourTransform(SHOWN)
Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes bands (C, SIDE, SIDE), a pixel a global pixel."""

    def write_bands(
        bands: np.ndarray,
        describe: Callable[[DatasetWriter], None] = lambda _: None,
        name: str = "scene",
        **profile: Any,
    ) -> Path:
        place = {"crs": "EPSG:3857", "transform": GRID}
        return write_raster(tmp_path / f"{name}.tif", bands, describe, **place | profile)

    return write_bands


def numbers(count: int, top: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(count).integers(0, top, (count, SIDE, SIDE), endpoint=True).astype(dtype)


def scaled(*scales: float, offsets: tuple[float, ...] | None = None) -> Callable[[DatasetWriter], None]:
    def describe(dataset: DatasetWriter) -> None:
        dataset.scales, dataset.offsets = scales, offsets or (0.0,) * len(scales)

    return describe


def read(scene: Scene | SceneCollection, rendition: ColourTransform = PLAIN) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (SIDE, SIDE, 3) and mask of the scene."""
    with scene.at(View(ZOOM, rendition)) as source:
        image = source.read(Block(ZOOM, 38617, 49269, 1, 1))
    return image.pixels[:SIDE, :SIDE], image.mask[:SIDE, :SIDE]


def by_default(scene: Scene | SceneCollection) -> ColourTransform:
    """The stretch as a plan decides it."""
    return make_rendition(scene.sample(), None, "none", stretch_of_bits("auto", scene.bits))[0]


# Zero is white


@pytest.mark.parametrize(
    ("dtype", "top", "stored"),
    [("uint8", 255, {}), ("uint16", 65535, {}), ("uint8", 15, {"nbits": 4}), ("uint16", 4095, {"nbits": 12})],
)
def test_zero_is_white(dtype: str, top: int, stored: dict[str, Any], write: Writer) -> None:
    values = numbers(1, top, dtype)
    path = write(values, photometric="MINISWHITE", **stored)
    with open_scene(path) as scene:
        pixels, mask = read(scene, ColourTransform(((0.0, float(top)),) * 3))
        assert "0 is white in this file (MINISWHITE): its values are inverted before any stretch" in scene.notes
    assert mask.all()
    assert (pixels == np.rint((top - values[0].astype(float)) * 255 / top)[..., None]).all()


def test_zero_is_white_in_floats(write: Writer) -> None:
    values = numbers(1, 1000, "float32") / 1000
    with open_scene(write(values, photometric="MINISWHITE")) as scene:
        pixels, _ = read(scene, ColourTransform(((-1.0, 0.0),) * 3))
    assert np.abs(pixels[..., 0] - (1 - values[0]) * 255).max() <= 0.51


@pytest.mark.parametrize("nodata", [0, 7, 255])
def test_nodata_counts_before_the_inversion(nodata: int, write: Writer) -> None:
    values = numbers(1, 255)
    values[0, :20] = nodata
    with open_scene(write(values, photometric="MINISWHITE", nodata=nodata)) as scene:
        mask = read(scene)[1]
        assert (mask == (values[0] != nodata)).all()
        assert scene.bands.nodata == (nodata,)


@pytest.mark.parametrize("photometric", ["MINISWHITE", "MINISBLACK"])
def test_one_bit(photometric: str, write: Writer) -> None:
    """GDAL makes a table of two colours of these."""
    values = numbers(1, 1)
    with open_scene(write(values, photometric=photometric, nbits=1)) as scene:
        pixels, _ = read(scene)
    lit = values[0] == (photometric == "MINISBLACK")
    assert (pixels[..., 0] == lit * 255).all()


# Bits


@pytest.mark.parametrize(("bits", "count"), [(1, 3), (2, 3), (4, 3), (4, 1), (7, 3)])
def test_the_highest_number_of_few_bits_is_white(bits: int, count: int, write: Writer) -> None:
    top = 2**bits - 1
    values = numbers(count, top)
    with open_scene(write(values, nbits=bits, photometric="RGB" if count == 3 else "MINISBLACK")) as scene:
        rendition = by_default(scene)
        pixels, _ = read(scene, rendition)
    assert rendition.stretch == ((0.0, top),) * 3
    assert (pixels == np.rint(np.moveaxis(values, 0, -1) * 255.0 / top)).all()
    assert stretch_of_bits("none", bits) == "none"


def test_many_bits_are_measurements_however_small(write: Writer) -> None:
    values = numbers(3, 200, "uint16")
    with open_scene(write(values, nbits=10)) as scene:
        said = by_default(scene)
    with open_scene(write(values, name="silent")) as scene:
        silent = by_default(scene)
    assert silent.stretch == SHOWN
    assert said.stretch is not None
    assert said.stretch != SHOWN


def test_numbers_of_few_bits_and_of_eight_are_no_one_map(write: Writer, tmp_path: Path) -> None:
    write(numbers(3, 15), nbits=4, name="few")
    write(numbers(3, 255), name="eight")
    with (
        open_scenes(tmp_path) as scenes,
        pytest.raises(BandError, match=r"8-bit.* and .*4-bit.* have different value ranges"),
    ):
        scenes.sample()


def test_sheets_of_as_few_bits_share_a_stretch(write: Writer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(numbers(3, 15), nbits=4, name=name)
    with open_scenes(tmp_path) as scenes:
        assert by_default(scenes).stretch == ((0.0, 15.0),) * 3


# Scale and offset


def test_a_negative_scale_turns_dark_into_bright(write: Writer) -> None:
    values = numbers(1, 255)
    values[0, :9] = 3
    with open_scene(write(values, scaled(-1.0, offsets=(255.0,)), nodata=3)) as scene:
        rendition = by_default(scene)
        pixels, mask = read(scene, rendition)
        assert any("scale and offset of the bands are applied" in note for note in scene.notes)
    assert (mask == (values[0] != 3)).all()
    assert (pixels[mask][:, 0] == (255 - values[0])[mask]).all()


def test_scales_that_differ_are_applied_and_nodata_is_not(write: Writer) -> None:
    values = numbers(3, 200, "int16")
    values[:, :20] = -9999
    path = write(values, scaled(0.0001, 0.0002, 0.0001, offsets=(0.0, -0.1, 0.0)), nodata=-9999)
    with open_scene(path) as scene:
        pixels, mask = read(scene, ColourTransform(((0.0, 0.02),) * 3))
        assert (1.0 - scene.valid_share) == pytest.approx(20 / SIDE)
    truth = np.clip(
        (values * np.array([1, 2, 1])[:, None, None] * 1e-4 - np.array([0, 0.1, 0])[:, None, None]), 0, 0.02
    )
    assert not mask[:20].any()
    assert mask[20:].all()
    assert np.abs(pixels[20:] - np.moveaxis(truth, 0, -1)[20:] * 255 / 0.02).max() <= 0.51


def test_a_scale_of_all_bands_changes_nothing(write: Writer) -> None:
    values = numbers(3, 4000, "uint16")
    with open_scene(write(values, scaled(1e-4, 1e-4, 1e-4, offsets=(-0.1,) * 3), name="a")) as scene:
        with_scale = scene.sample(), scene.notes, scene.bands, scene.layout_digest
    with open_scene(write(values, name="b")) as scene:
        assert (scene.sample() == with_scale[0]).all()
        assert (scene.notes, scene.bands, scene.layout_digest) == with_scale[1:]


def test_what_is_inverted_has_another_digest(write: Writer) -> None:
    arrangements = set()
    for photometric in ("MINISBLACK", "MINISWHITE"):
        with open_scene(write(numbers(1, 255), photometric=photometric)) as scene:
            arrangements.add(scene.layout_digest)
    assert len(arrangements) == 2


# Tables of colours, and other colours than red, green and blue


def test_values_without_a_colour_are_empty(tmp_path: Path) -> None:
    """A PNG has only as many colours as it uses, a broken one has values beyond."""
    Image.fromarray(numbers(1, 3)[0], "L").save(tmp_path / "values.png")
    colours = "".join(f'<Entry c1="{40 * n}" c2="9" c3="{n}" c4="{255 if n else 100}"/>' for n in range(3))
    path = tmp_path / "scene.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:3857</SRS>'
        f"<GeoTransform>{', '.join(map(repr, GRID.to_gdal()))}</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1"><ColorInterp>Palette</ColorInterp><ColorTable>{colours}</ColorTable>'
        '<SimpleSource><SourceFilename relativeToVRT="1">values.png</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    values = numbers(1, 3)[0]
    with open_scene(path) as scene:
        pixels, mask = read(scene)
    assert (mask == ((values == 1) | (values == 2))).all()
    assert (pixels[values == 2] == [80, 9, 2]).all()


@pytest.mark.parametrize(
    ("photometric", "dtype", "count", "space"),
    [("CMYK", "uint16", 4, "CMYK"), ("CIELAB", "uint16", 3, "CIE L*a*b*"), ("ICCLAB", "uint8", 3, "ICC L*a*b*")],
)
def test_raw_colours_of_another_space_are_told(
    photometric: str, dtype: str, count: int, space: str, write: Writer
) -> None:
    with open_scene(write(numbers(count, 255, dtype), photometric=photometric)) as scene:
        told = [note for note in scene.notes if "convert the file to RGB first" in note]
    assert len(told) == 1
    assert f"the bands hold {space} colours" in told[0]


def test_colours_that_gdal_converts_are_read_without_a_word(write: Writer) -> None:
    values = np.zeros((4, SIDE, SIDE), np.uint8)
    values[0] = 255  # cyan
    with open_scene(write(values, photometric="CMYK")) as scene:
        pixels, _ = read(scene)
        assert scene.notes == ()
        assert scene.dataset.colorinterp[0] == ColorInterp.red
    assert (pixels == [0, 255, 255]).all()


# VRTs, to which what their sources say does not get


def vrt_of(*paths: Path) -> Path:
    """What gdalbuildvrt writes for files of one place, in which the last covers the others."""
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{path.name}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource>"
        for path in paths
    )
    with rasterio.open(paths[0]) as dataset:
        kind = {"uint8": "Byte", "uint16": "UInt16"}[dataset.dtypes[0]]
        numbers = ",".join(map(str, dataset.transform.to_gdal()))
    paths[0].with_suffix(".vrt").write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:3857</SRS><GeoTransform>{numbers}'
        f'</GeoTransform><VRTRasterBand dataType="{kind}" band="1">{sources}</VRTRasterBand></VRTDataset>'
    )
    return paths[0].with_suffix(".vrt")


def test_a_vrt_is_read_as_its_sources_are(write: Writer) -> None:
    for stored in ({"photometric": "miniswhite"}, {"nbits": 12}, {"photometric": "miniswhite", "nbits": 12}):
        top, dtype = (4095, "uint16") if "nbits" in stored else (255, "uint8")
        path = write(numbers(1, top, dtype), **stored)
        with open_scene(path) as scene, open_scene(vrt_of(path)) as vrt:
            assert (vrt.bands.meant, vrt.bands.bits) == (scene.bands.meant, scene.bands.bits)
            assert (vrt.sample() == scene.sample()).all()
            assert not any("differ in the meaning" in note for note in vrt.notes)


def test_a_warped_vrt_is_read_as_its_source_is(write: Writer) -> None:
    path = write(numbers(1, 255), photometric="miniswhite")
    with rasterio.open(vrt_of(path)) as dataset, WarpedVRT(dataset, crs="EPSG:32618") as vrt:
        rasterio.shutil.copy(vrt, path.with_name("warped.vrt"), driver="VRT")
    with open_scene(path) as scene, open_scene(path.with_name("warped.vrt")) as warped:
        assert warped.bands.meant == scene.bands.meant is not None


def test_sources_that_differ_are_told(write: Writer) -> None:
    white = write(numbers(1, 255), name="white", photometric="miniswhite")
    with open_scene(vrt_of(white, write(numbers(1, 255), name="black"))) as scene:
        assert scene.bands.meant is None
        assert any("differ in the meaning of their values (MINISWHITE)" in note for note in scene.notes)
    few = write(numbers(1, 4095, "uint16"), name="few", nbits=12)
    with open_scene(vrt_of(few, write(numbers(1, 4095, "uint16"), name="all"))) as scene:
        assert scene.bits is None
        assert any("differ in the meaning of their values (NBITS)" in note for note in scene.notes)


def test_a_vrt_that_inverts_its_source_is_not_inverted_again(write: Writer) -> None:
    path = vrt_of(write(numbers(1, 255), photometric="miniswhite"))
    scaled = "<ScaleOffset>255</ScaleOffset><ScaleRatio>-1</ScaleRatio>"
    text = path.read_text().replace("SimpleSource", "ComplexSource")
    path.write_text(text.replace("</SourceBand>", f"</SourceBand>{scaled}"))
    with open_scene(path) as scene:
        assert scene.bands.meant is None
