"""A second family of networks is a class of its own and nothing else: this one is a 3 x 3 convolution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geo2map.colour.palette import Palette
from geo2map.engine import load_engine
from geo2map.families import FAMILIES, Family, register
from geo2map.families.family import Config
from geo2map.families.generator import Generator
from geo2map.families.legend import Legend
from geo2map.grid import PixelWindow
from geo2map.model import ModelDescription, calibrate_model, load_card, save_model
from geo2map.pipeline.run import run
from geo2map.plan import Plan
from geo2map.scene import View
from geo2map.testing import ArraySource, MemoryOutput, make_card

LEGEND = [[0, 0, 0], [255, 255, 255]]


class Convolution(Generator):
    """Scores each colour of a legend by one convolution."""

    size_multiple, margin = 1, 1

    def __init__(self, legend: list[list[int]], in_channels: int = 3) -> None:
        super().__init__()
        self.in_channels, self.head = in_channels, Legend(legend)
        self.scores = nn.Conv2d(in_channels, len(legend), 3, padding=1)

    def forward(self, x: Tensor, return_logits: bool = False) -> Tensor:
        scores: Tensor = self.scores(x)
        return scores if return_logits else self.head(scores)


class ConvolutionFamily(Family):
    name = "convolution"

    def build(self, config: Config) -> Generator:
        return Convolution(**config)

    def gflop_per_tile(self, config: Config) -> float:
        return 2 * 27 * len(config["legend"]) * 256**2 / 1e9


# That is all. What follows uses it.


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Path]:
    """A model file that draws white where the mean of the 3 x 3 red levels is above grey, black elsewhere."""
    register(ConvolutionFamily())
    network = Convolution(LEGEND)
    with torch.no_grad():
        network.scores.weight.zero_()
        network.scores.bias.zero_()
        network.scores.weight[1, 0] = 1000.0
    palette = Palette((("dark", (0, 0, 0)), ("light", (255, 255, 255))))
    card = make_card(
        architecture="convolution", config={"legend": LEGEND}, margin=1, size_multiple=1, palette=palette, colours=None
    )
    save_model(tmp_path / "tiny.safetensors", network.state_dict(), card)
    yield tmp_path / "tiny.safetensors"
    del FAMILIES["convolution"]


def test_it_renders_a_scene_as_tiles(model: Path) -> None:
    window = PixelWindow(2048, 1024, 2048 + 700, 1024 + 300)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 700, 3), dtype=np.uint8)
    source = ArraySource(window, pixels, np.ones((300, 700), np.bool_))
    plan = Plan(name="noise", view=View(6), window=window, block_span=1, margin=1, fill_radius=2)
    output = MemoryOutput(plan)
    report = run(source, load_engine(model, device="cpu"), output)
    assert (report.tiles, len(output.tiles)) == (6, 6)
    reds = pixels[..., 0].astype(int)
    sums = sum(reds[row : row + 298, column : column + 698] for row in range(3) for column in range(3))
    tile, _ = output.tiles[9, 4, 6]  # type: ignore[index]  # inside the scene: columns 256 on, row 0 on
    clear = np.abs(sums[:255, 255:511] - 9 * 127.5) > 1
    expected = np.where(sums[:255, 255:511] > 9 * 127.5, 255, 0)
    assert np.array_equal(tile[1:, :, 0][clear], expected[clear])
    assert clear.mean() > 0.9


def test_its_card_can_be_read_and_described(model: Path) -> None:
    description = ModelDescription.of(model)
    assert description.gflop_per_tile == pytest.approx(2 * 27 * 2 * 256**2 / 1e9, abs=1e-4)
    assert "convolution: legend" in str(description)
    assert description.parameters == 2 * 27 + 2
    assert load_card(model).architecture == "convolution"


def test_what_it_does_not_do_is_refused_in_one_sentence(model: Path, tmp_path: Path) -> None:
    from geo2map.errors import ModelFileError

    with pytest.raises(ModelFileError, match="family convolution cannot be calibrated"):
        calibrate_model(model, tmp_path / "other.safetensors", inverse_temperature=2.0)


def test_an_unknown_family_is_refused(model: Path) -> None:
    family = FAMILIES.pop("convolution")
    try:
        for use in (load_engine, lambda path: ModelDescription.of(path).to_dict()):
            with pytest.raises(Exception, match="'convolution' is not one of unet"):
                use(model)
    finally:
        register(family)
