"""ONNX files: the same picture as the engine's, in another program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from geo2map.colour import ColourStatistics
from geo2map.demo import make_town
from geo2map.engine import load_engine
from geo2map.engine.onnx import write_onnx
from geo2map.errors import ModelFileError
from geo2map.families import build
from geo2map.model import find_model, load_card, save_model
from geo2map.testing import make_card

onnx = pytest.importorskip("onnx", reason="needs the extra [onnx]")
pytest.importorskip("onnxscript", reason="needs the extra [onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, a referee")

pytestmark = pytest.mark.slow
LEGEND = [[232, 228, 222], [254, 254, 252], [177, 208, 254]]
CONFIGS: dict[str, dict[str, Any]] = {
    "tanh": {},
    "legend": {"legend": LEGEND},
    "crispened": {"crispen": {"colours": LEGEND, "sharpen": 1.0, "commit": 0.8}},
    "residual": {"residual_blocks": [0, 1, 1, 0]},
}


def save_small(path: Path, **config: Any) -> Path:
    """A model of random weights, depth 4, large enough to draw something."""
    torch.manual_seed(0)
    config = {"widths": [8, 8, 8, 8], **config}
    network = build("unet", **config)
    weights = {name: values * (4 if values.ndim == 4 else 1) for name, values in network.state_dict().items()}
    card = make_card(
        name="tiny",
        config=config,
        margin=network.margin,
        size_multiple=network.size_multiple,
        colours=ColourStatistics.of(np.random.default_rng(0).integers(1, 255, (10_000, 3), dtype=np.uint8)),
    )
    save_model(path, weights, card)
    return path


def runner(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What onnxruntime makes of uint8 (N, H, W, 3), one tile at a time as Deepness does."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(tiles: np.ndarray) -> np.ndarray:
        inputs = [tile.transpose(2, 0, 1)[None].astype(np.float32) / 255 for tile in tiles]
        made = np.concatenate([session.run(["map"], {"image": values})[0] for values in inputs])
        return np.asarray((made.transpose(0, 2, 3, 1) * 255).round().astype(np.uint8))

    return run


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_onnxruntime_draws_the_same(config: dict[str, Any], tmp_path: Path) -> None:
    model = save_small(tmp_path / "tiny.safetensors", **config)
    side = write_onnx(model, tmp_path / "tiny.onnx", tile=256)
    tiles = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    with load_engine(model, device="cpu", threads=1) as engine:
        wanted = engine.translate_pixels(tiles)
    made = runner(tmp_path / "tiny.onnx")(tiles)
    assert np.abs(made.astype(int) - wanted).max() <= 1
    assert wanted.std() > 1  # a picture, not one grey


def test_the_packaged_model_draws_the_same_to_one_level(tmp_path: Path) -> None:
    """Ten tiles of a town."""
    side = write_onnx(find_model("sat2map"), tmp_path / "sat2map.onnx", tile=512)
    make_town(tmp_path / "town.tif", size=1280)
    with rasterio.open(tmp_path / "town.tif") as opened:
        town = np.moveaxis(opened.read((1, 2, 3)), 0, -1)
    places = [(row, column) for row in (0, 256, 512, 768) for column in (0, 384, 768)][:10]
    tiles = np.stack([town[row : row + side, column : column + side] for row, column in places])
    with load_engine("sat2map", device="cpu", threads=1) as engine:
        wanted = np.concatenate([engine.translate_pixels(tile[None]) for tile in tiles])
    made = runner(tmp_path / "sat2map.onnx")(tiles)
    assert np.abs(made.astype(int) - wanted).max() <= 1


def test_metadata_are_those_that_deepness_reads(tmp_path: Path) -> None:
    """Keys and JSON values as its ModelBase reads them; the overlap covers the margin on both sides."""
    model = save_small(tmp_path / "tiny.safetensors")
    card, side = load_card(model), write_onnx(model, tmp_path / "tiny.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"), providers=["CPUExecutionProvider"])
    stored = session.get_modelmeta().custom_metadata_map
    assert json.loads(stored["geo2map"]) == json.loads(card.to_json())
    facts = {key: json.loads(value) for key, value in stored.items()}
    assert (facts["model_type"], facts["tile_size"]) == ("Regressor", side)
    assert facts["resolution"] == pytest.approx(100 * card.ground_resolution)
    assert side * facts["tiles_overlap"] / 100 >= 2 * card.margin
    assert list(facts["class_names"]) == ["0", "1", "2"]
    [taken] = session.get_inputs()
    assert (taken.name, taken.shape, taken.type) == ("image", [1, 3, side, side], "tensor(float)")
    onnx.checker.check_model(onnx.load(tmp_path / "tiny.onnx"), full_check=True)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = save_small(tmp_path / "tiny.safetensors")
    for name in ("a.onnx", "b.onnx"):
        write_onnx(model, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_what_an_onnx_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="2 bands of noise"):
        write_onnx(find_model("map2sat"), tmp_path / "m.onnx")
    with pytest.raises(ModelFileError, match="multiple of 32 above 320") as caught:
        write_onnx(find_model("sat2map"), tmp_path / "m.onnx", tile=300)
    assert caught.value.option == "tile"
    assert not (tmp_path / "m.onnx").exists()
