"""What goes wrong on a command line: one plain sentence on stderr, exit code 1 (2 for usage), nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from safetensors.torch import save_file
from snapshots import snapshot

from geo2map.model import load_card, load_weights, save_model

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]

MARS = (
    'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190.0,169.89444722361179]],'
    'PRIMEM["Greenwich",0],UNIT["Decimal_Degree",0.0174532925199433]]'
)


def assert_one_sentence(result: Any, *phrases: str, code: int = 1) -> None:
    assert result.code == code, result
    assert result.out == ""
    *notes, last = result.err.splitlines()
    assert last.startswith("geo2map: ")
    assert not notes or "would be empty" in last or "no valid pixel" in last, (
        result.err
    )  # seen when all blocks have been looked at
    for phrase in phrases:
        assert phrase in result.err


@pytest.fixture
def refused(geo2map: Command, tiny_model: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs a command that must fail with one sentence and leave the test's folder as it was."""

    def run(*arguments: object, phrases: tuple[str, ...], model: Path = tiny_model, code: int = 1) -> None:
        before = snapshot(tmp_path)
        assert_one_sentence(geo2map(*arguments, "--model", model), *phrases, code=code)
        assert snapshot(tmp_path) == before

    return run


# Scenes


def cut_in_half(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def not_a_raster(path: Path) -> Path:
    path.write_text("it says .tif, but it is a letter")
    return path


def metres(left: float, top: float, size: float = 0.9) -> Affine:
    return Affine(size, 0, left, 0, -size, top)


NOTHING = np.zeros((3, 200, 200), np.uint8)
BAD_SCENES: dict[str, tuple[Callable[[SceneWriter, Path], object], tuple[str, ...]]] = {
    "no CRS": (lambda write, _: write("bad.tif", crs=None), ("no coordinate reference system", "set crs")),
    "no geotransform": (lambda write, _: write("bad.tif", transform=Affine.identity()), ("no usable geotransform",)),
    "cut in half": (lambda write, _: cut_in_half(write("bad.tif")), ("bad.tif", "truncated")),
    "cut in half, compressed": (
        lambda write, _: cut_in_half(write("bad.tif", compress="deflate", blockysize=16)),
        ("bad.tif", "truncated"),
    ),
    "not a raster": (lambda _, path: not_a_raster(path), ("not recognized", "check the file")),
    "missing file": (lambda *_: None, ("scene not found",)),
    "complex numbers": (lambda write, _: write("bad.tif", NOTHING.astype(np.complex64)), ("complex numbers",)),
    "far too coarse": (
        lambda write, _: write("bad.tif", transform=metres(590_000, 4_510_000, 10)),
        ("10 m", "0.905 m", "--force"),
    ),
    "nodata only": (lambda write, _: write("bad.tif", NOTHING, nodata=0), ("would be empty; no valid pixel",)),
    "on Mars": (
        lambda write, _: write("bad.tif", crs=MARS, transform=Affine(1e-5, 0, 10, 0, -1e-5, 10)),
        ("Mars", "a terrestrial CRS"),
    ),
    "at the south pole": (
        lambda write, _: write("bad.tif", crs="EPSG:3031", transform=metres(-100, 100)),
        ("outside web-mercator",),
    ),
    "near the south pole": (
        lambda write, _: write("bad.tif", crs="EPSG:3031", transform=metres(90_000, 90_000)),
        ("outside web-mercator",),
    ),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("out", ["tiles", "map.tif"])
@pytest.mark.parametrize("kind", BAD_SCENES)
def test_a_bad_scene(
    kind: str, out: str, refused: Callable[..., None], write_scene: SceneWriter, tmp_path: Path
) -> None:
    make, phrases = BAD_SCENES[kind]
    make(write_scene, tmp_path / "bad.tif")
    refused("render", tmp_path / "bad.tif", "--out", tmp_path / "new" / out, phrases=phrases)


@pytest.mark.parametrize(("command", "out"), [("tile", "tiles"), ("preview", "look.png")])
def test_other_commands_refuse_a_bad_scene_as_well(
    command: str, out: str, refused: Callable[..., None], write_scene: SceneWriter, tmp_path: Path
) -> None:
    scene, out_path = write_scene("bad.tif", NOTHING, nodata=0), tmp_path / "new" / out
    phrase = {"tile": "no valid pixel", "preview": "no valid pixel"}[command]
    refused(command, scene, "--out", out_path, phrases=(phrase,))
    cut_in_half(scene)
    refused(command, scene, "--out", out_path, phrases=("truncated",))


def test_damage_that_shows_only_in_the_middle_of_a_run(
    refused: Callable[..., None], write_scene: SceneWriter, tmp_path: Path
) -> None:
    """Overviews are sound, so the plan can be made; the first rows are, so the first blocks can be rendered."""
    scene = write_scene("bad.tif", np.random.default_rng(0).integers(1, 255, (3, 1100, 1100), dtype=np.uint8))
    with rasterio.Env(TIFF_USE_OVR="YES"), rasterio.open(scene, "r+") as dataset:
        dataset.build_overviews([2, 4])
    cut_in_half(scene)
    for out in ("tiles", "map.tif"):
        refused("render", scene, "--out", tmp_path / "new" / out, "--block-span", 1, phrases=("truncated",))


def test_a_coarse_scene_may_be_forced(
    geo2map: Command, write_scene: SceneWriter, tiny_model: Path, tmp_path: Path
) -> None:
    scene = write_scene("coarse.tif", transform=metres(590_000, 4_510_000, 10))
    result = geo2map("render", scene, "--out", tmp_path / "tiles", "--model", tiny_model, "--force", "--zoom", 13)
    assert result.code == 0
    assert "warning: the scene has only 10 m per pixel" in result.err
    assert (tmp_path / "tiles" / "tilejson.json").exists()


# Models


def garbage(path: Path, _: Path) -> None:
    path.write_bytes(b"\x99" * 500)


def empty(path: Path, _: Path) -> None:
    path.touch()


def truncated(path: Path, sound: Path) -> None:
    path.write_bytes(sound.read_bytes()[: sound.stat().st_size // 2])


def without_a_card(path: Path, _: Path) -> None:
    save_file({"weight": torch.ones(3)}, path)


def pickled(path: Path, _: Path) -> None:
    torch.save({"weight": torch.ones(3)}, path)


def with_other_weights(path: Path, sound: Path) -> None:
    weights = load_weights(sound)
    weights.popitem()
    save_model(path, weights, load_card(sound))


def missing(path: Path, _: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "name", "phrases"),
    [
        (garbage, "bad.safetensors", ("not a readable .safetensors",)),
        (empty, "bad.safetensors", ("not a readable .safetensors",)),
        (truncated, "bad.safetensors", ("not a readable .safetensors", "get the model again")),
        (without_a_card, "bad.safetensors", ("no geo2map card",)),
        (pickled, "latest_net_G.pth", ("not a readable .safetensors",)),
        (with_other_weights, "bad.safetensors", ("do not fit its card",)),
        (missing, "bad.safetensors", ("neither a file nor a packaged model", "sat2map")),
    ],
)
def test_a_bad_model_file(
    make: Callable[[Path, Path], None],
    name: str,
    phrases: tuple[str, ...],
    refused: Callable[..., None],
    small_scene: Path,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    make(tmp_path / name, tiny_model)
    refused("render", small_scene, "--out", tmp_path / "tiles", model=tmp_path / name, phrases=phrases)


# Options


@pytest.mark.parametrize(
    ("options", "phrases"),
    [
        (("--zoom", 22), ("lower the zoom to 18", "(--force)")),
        (("--zoom", 19), ("zoom 19: would only enlarge the pixels", "(--force)")),
        (("--block-span", 3), ("block span 3", "2 or 4 (--block-span)")),
        (("--zoom", 14, "--minzoom", 16), ("minzoom 16", "zoom 14; lower it (--minzoom)")),
        (("--margin", 17), ("margin 17", "multiple of 16", "(--margin)")),
        (("--device", "cuda:9"), ("cuda:9", "cpu or auto (--device)")),
        (("--device", "abacus"), ("abacus", "cuda:N or mps")),
        (("--device", "cpu", "--precision", "fp16"), ("fp16", "fp32 or bf16")),
        (("--indexes", "1,2,4"), ("no bands 1,2,4", "1 to 3", "(--indexes)")),
        (("--crs", "EPSG:0"), ("CRS 'EPSG:0'", "EPSG:32618")),
        (("--crs", "EPSG:4326"), ("no pixel", "lies on Earth")),
        (("--nodata", "-1"), ("nodata -1", "uint8")),
        (("--nodata", "nan"), ("nodata nan", "uint8")),
        (("--stretch", "percentile:98,2"), ("stretch 'percentile:98,2'", "give auto, none, minmax")),
    ],
)
def test_an_option_that_makes_no_sense(
    options: tuple[object, ...],
    phrases: tuple[str, ...],
    refused: Callable[..., None],
    small_scene: Path,
    tmp_path: Path,
) -> None:
    code = 2 if options[0] in ("--block-span", "--stretch") else 1
    refused("render", small_scene, "--out", tmp_path / "tiles", *options, phrases=phrases, code=code)


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        (("--wrong",), "--wrong"),
        (("--zoom", "25"), "--zoom"),
        (("--block-span", "0"), "--block-span"),
        (("--format", "gif"), "--format"),
        (("--feather", "600"), "--feather"),
        (("--indexes", "1,2"), "--indexes"),
        (("--indexes", "red"), "--indexes"),
        (("--nodata", "black"), "--nodata"),
        (("--resampling", "blurry"), "--resampling"),
    ],
)
def test_usage_errors_exit_with_2(
    options: tuple[str, ...], phrase: str, geo2map: Command, small_scene: Path, tmp_path: Path
) -> None:
    before = snapshot(tmp_path)
    result = geo2map("render", small_scene, "--out", tmp_path / "tiles", *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: ")
    assert phrase in result.err.splitlines()[-1]
    assert snapshot(tmp_path) == before


def test_no_such_command(geo2map: Command) -> None:
    result = geo2map("paint")
    assert result.code == 2
    assert "paint" in result.err
    assert "Did you mean 'render'?" in geo2map("rendre").err


# Outputs


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A folder with somebody's letter in it."""
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear reader")
    return folder


@pytest.mark.parametrize(
    ("out", "options", "phrase"),
    [
        ("map.jpg", (), ".jpg is not a supported output type"),
        ("taken/letter.txt/tiles", (), "is a file"),
        ("taken/letter.txt/map.tif", (), "is a file"),
        ("taken", (), "exists already"),
        ("taken", ("--overwrite",), "letter.txt does not belong to a tile set"),
        ("small.tif", (), "the scene itself"),
        ("older.tif", (), "(--overwrite)"),
        ("map.tif", ("--format", "webp"), "no tile format; leave it out (--format)"),
    ],
)
def test_an_output_that_cannot_be(
    out: str,
    options: tuple[str, ...],
    phrase: str,
    refused: Callable[..., None],
    small_scene: Path,
    taken: Path,
    tmp_path: Path,
) -> None:
    (taken.parent / "older.tif").touch()
    code = 2 if "--format" in options else 1
    refused("render", small_scene, "--out", tmp_path / out, *options, phrases=(phrase,), code=code)


def test_a_preview_that_cannot_be_written(
    refused: Callable[..., None], small_scene: Path, taken: Path, tmp_path: Path
) -> None:
    inside_a_file = taken / "letter.txt" / "look.png"
    refused("preview", small_scene, "--out", inside_a_file, "--span", 1, phrases=("look.png", "cannot be written"))
    refused("preview", small_scene, "--out", tmp_path / "look.gif", phrases=(".png",))


@pytest.mark.parametrize("out", ["tiles", "map.tif"])
def test_an_output_is_replaced_only_when_asked(
    out: str, geo2map: Command, small_scene: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = ("render", small_scene, "--out", tmp_path / out, "--model", tiny_model)
    assert geo2map(*command).code == 0
    before = snapshot(tmp_path)
    assert_one_sentence(geo2map(*command, "--zoom", 16), "exists already", "(--overwrite)")
    assert snapshot(tmp_path) == before
    assert geo2map(*command, "--zoom", 16, "--overwrite").code == 0
    after = snapshot(tmp_path)
    assert after != before
    hidden = [Path(name).name for name in after if Path(name).name.startswith(".")]
    assert hidden == [".geo2map.journal" if out == "tiles" else f".{out}.journal"]


@pytest.mark.parametrize("command", ["render", "tile"])
def test_the_scene_is_not_overwritten_by_its_map(command: str, refused: Callable[..., None], small_scene: Path) -> None:
    out = small_scene.parent / ".." / small_scene.parent.name / small_scene.name
    refused(command, small_scene, "--out", out, "--overwrite", phrases=("the scene itself",))


@pytest.mark.parametrize("command", ["translate", "mosaic"])
def test_tiles_that_are_none(command: str, geo2map: Command, taken: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    said = ("not a folder of tiles",) * 2 if command == "translate" else ("no tiles named", "folder not found")
    for folder, phrase in zip((taken, taken / "no"), said, strict=True):
        assert_one_sentence(geo2map(command, folder, "--out", tmp_path / "map.tif"), str(folder), phrase)
    assert snapshot(tmp_path) == before


def test_a_log_that_cannot_be_written(geo2map: Command, small_scene: Path, taken: Path, tmp_path: Path) -> None:
    log = taken / "letter.txt" / "run.log"
    result = geo2map("render", small_scene, "--out", tmp_path / "tiles", "--log-file", log)
    assert result.code == 1
    assert "run.log" in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "tiles").exists()
