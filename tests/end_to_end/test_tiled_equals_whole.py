"""The signature of the project: output does not depend on block, batch, grid offset or restart.

Scenes here have a ragged rim, a hole and an empty stretch; comparisons are of pixels that were stored without loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from geo2map.engine import Engine, load_engine
from geo2map.families import build
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block
from geo2map.model import ModelCard
from geo2map.pipeline.blocks import render_blocks
from geo2map.pipeline.reading import prepare
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.protocols import Translator, TranslatorInput
from geo2map.scene import View
from geo2map.testing import ArraySource, BlurTranslator, MemoryOutput, make_card
from geo2map.tiles.codec import decode_tile
from geo2map.types import Image, Mask

ZOOM = 17
SPANS = (1, 2, 4, 8)


def ragged_source(left: int, top: int, width: int, height: int, seed: int = 0) -> ArraySource:
    """Blocky noise with a slanted rim, a hole and a dust of single missing pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    pixels = np.kron(coarse, np.ones((8, 8, 1), dtype=int))[:height, :width] + rng.integers(-20, 20, (height, width, 3))
    rows, columns = np.mgrid[:height, :width]
    mask = (rows > 40 + columns // 7) & (columns < width - 30 - rows // 9)
    mask &= (rows - height // 2) ** 2 + (columns - width // 3) ** 2 > 70**2
    mask &= rng.random((height, width)) > 0.001
    window = PixelWindow(left, top, left + width, top + height)
    return ArraySource(window, np.clip(pixels, 0, 255).astype(np.uint8), mask)


def make_plan(source: ArraySource, span: int, margin: int, radius: int = 32, noise: int = 0) -> Plan:
    return Plan(
        noise=noise,
        name="ragged",
        view=View(ZOOM),
        window=source.window,
        block_span=span,
        margin=margin,
        fill_radius=radius,
        neutral=(50, 53, 46),
    )


def render(plan: Plan, source: ArraySource, translator: Translator) -> dict[tuple[int, ...], tuple[Image, Mask]]:
    """The tiles as they come out of a run, stored without loss."""
    output = MemoryOutput(plan)
    run(source, translator, output)
    assert output.finished
    return dict(output.tiles)


def render_whole(plan: Plan, source: ArraySource, translator: Translator, offset: int = 0) -> tuple[Block, Image, Mask]:
    """One pass over everything, tiles and margin, the grid shifted by whole tiles."""
    tiles = plan.tiles
    block = Block(
        ZOOM, tiles.left - offset, tiles.top - offset, tiles.width + 2 * offset, tiles.height + 2 * offset, plan.margin
    )
    image = translator.translate([prepare(plan, source, block)])[0].image
    return image.block, image.pixels, image.mask


def differences(tiles: dict[tuple[int, ...], tuple[Image, Mask]], block: Block, pixels: Image, mask: Mask) -> int:
    """Largest difference on valid pixels; the sets of tiles must agree too."""
    worst, seen = 0, 0
    for place, (tile, tile_mask) in tiles.items():
        np.testing.assert_array_equal(tile_mask, part_of(mask, block, place))
        delta = np.abs(tile.astype(int) - part_of(pixels, block, place).astype(int))[tile_mask]
        worst, seen = max(worst, int(delta.max())), seen + int(tile_mask.sum())
    assert seen == mask.sum()
    return worst


def part_of(plane: npt.NDArray[Any], block: Block, tile: tuple[int, ...]) -> npt.NDArray[Any]:
    """The pixels of one tile in an array of a block."""
    x, y = 256 * (tile[0] - block.x), 256 * (tile[1] - block.y)
    return plane[y : y + 256, x : x + 256]


@pytest.fixture(scope="module")
def blurred() -> tuple[ArraySource, tuple[Block, Image, Mask]]:
    """A source and its blur in one pass."""
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 1500, 1200)
    return source, render_whole(make_plan(source, 1, margin=19), source, BlurTranslator(radius=19))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("span", SPANS)
def test_a_blur_is_bit_identical(span: int, batch: int, blurred: tuple[ArraySource, tuple[Block, Image, Mask]]) -> None:
    source, whole = blurred
    blur = BlurTranslator(radius=19, batch=batch)
    assert differences(render(make_plan(source, span, margin=19), source, blur), *whole) == 0


def test_too_small_a_margin_is_noticed() -> None:
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 700, 600)
    blur = BlurTranslator(radius=19)
    whole = render_whole(make_plan(source, 1, margin=19), source, blur)
    assert differences(render(make_plan(source, 1, margin=12), source, blur), *whole) > 5


def test_too_short_a_fill_is_noticed() -> None:
    """A fill that looked no farther than the margin would differ from block to block."""
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 700, 600)
    blur, plan = BlurTranslator(radius=19), make_plan(source, 1, margin=19)

    class Shortsighted(ArraySource):
        def read(self, block: Block):  # type: ignore[no-untyped-def]
            image = super().read(block)
            image.mask[:32], image.mask[-32:], image.mask[:, :32], image.mask[:, -32:] = False, False, False, False
            return image

    broken = Shortsighted(source.window, source.pixels, source.mask)
    assert differences(render(plan, broken, blur), *render_whole(plan, source, blur)) > 5


@pytest.mark.slow
def test_bits_do_not_depend_on_the_batch(engine: Engine) -> None:
    source = ragged_source(500 * 256, 600 * 256, 600, 560)
    plan = make_plan(source, 1, engine.card.margin)
    alone, both = (render(plan, source, load_engine("sat2map", device="cpu", batch=batch)) for batch in (1, 2))
    for tile, (pixels, _) in alone.items():
        np.testing.assert_array_equal(pixels, both[tile][0])


@pytest.fixture(scope="module")
def translated(engine: Engine) -> tuple[ArraySource, tuple[Block, Image, Mask]]:
    """A source and its map by the packaged model in one pass."""
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 720, 640)
    return source, render_whole(make_plan(source, 1, engine.card.margin), source, engine)


@pytest.mark.slow
@pytest.mark.parametrize("span", SPANS)
def test_the_packaged_model_differs_by_at_most_one_level(
    engine: Engine, span: int, translated: tuple[ArraySource, tuple[Block, Image, Mask]]
) -> None:
    source, whole = translated
    assert differences(render(make_plan(source, span, engine.card.margin), source, engine), *whole) <= 1


@pytest.mark.parametrize("span", SPANS)
def test_a_model_with_noise_differs_by_at_most_one_level(span: int) -> None:
    torch.manual_seed(11)
    config = {"widths": [8, 8, 8], "in_channels": 5}
    network = build("unet", **config).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(network.down[0][0].weight, 0.0, 0.4)
    torch.nn.init.normal_(network.transposed()[0].weight, 0.0, 0.4)
    card = make_card(ground_resolution=1.0, size_multiple=8, margin=network.margin, config=config)
    noisy = Engine(network, card, torch.device("cpu"), torch.float32, batch=2)
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 900, 800)
    source.pixels[:] = 200  # what the map shows is noise alone
    plan = make_plan(source, span, card.margin, noise=card.noise)
    whole = render_whole(plan, source, noisy, offset=1)
    assert differences(render(plan, source, noisy), *whole) <= 1
    assert whole[1][whole[2]].std() > 5


@pytest.mark.slow
def test_a_grid_shifted_by_half_a_block(engine: Engine) -> None:
    """Blocks of 2 x 2 tiles that start one tile farther north-west give the same pixels."""
    source = ragged_source(1004 * 256 + 5, 772 * 256 + 9, 760, 560)
    plan = make_plan(source, 2, engine.card.margin)
    tiles = render(plan, source, engine)
    block, pixels, mask = render_whole(plan, source, engine, offset=1)
    assert differences(tiles, block, pixels, mask) <= 1
    grown = replace(plan, window=plan.window.grow(256))
    shifted = render(grown, source, engine)
    for tile, (tile_pixels, tile_mask) in tiles.items():
        delta = np.abs(tile_pixels.astype(int) - shifted[tile][0].astype(int))[tile_mask]
        assert delta.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("span", SPANS)
def test_what_the_scores_tell_differs_by_at_most_one_level(engine: Engine, span: int) -> None:
    """Probabilities of blocks against those of one pass; the picture beside them is the one without scores.

    Where two classes have equal scores, the last bit decides which one is drawn, and so whose confidence counts.
    """
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 720, 640)
    plan = make_plan(source, span, engine.card.margin)
    block = render_whole(plan, source, engine)[0]
    prepared = prepare(plan, source, block)
    (whole,) = engine.translate([prepared], score_kinds={"confidence", "probabilities"})
    assert whole.confidence is not None
    assert whole.probabilities is not None
    storage = Storage(minzoom=plan.maxzoom, layers=("evidence", "confidence"))
    output = MemoryOutput(plan, storage)
    told: dict[str, dict[tuple[int, ...], tuple[Image, Mask]]] = {name: {} for name in storage.layers}
    for _, tiles in render_blocks(plan, source, engine, storage.resolve(plan), output.blocks()):
        for name, found in told.items():
            found |= {(*tile,): decode_tile(data) for tile, data in tiles.get(name, {}).items()}
    expected = {
        "evidence": np.stack((*whole.probabilities, np.zeros_like(whole.confidence)), axis=-1),
        "confidence": whole.confidence[..., None].repeat(3, axis=2),
    }
    assert differences(told["evidence"], whole.image.block, expected["evidence"], whole.image.mask) <= 1
    clear = whole.image.mask & ~equal_scores(engine, prepared)
    assert clear.sum() > 0.99 * whole.image.mask.sum()
    shown = {
        tile: (pixels, mask & part_of(clear, whole.image.block, tile))
        for tile, (pixels, mask) in told["confidence"].items()
    }
    assert differences(shown, whole.image.block, expected["confidence"], clear) <= 1


def equal_scores(engine: Engine, prepared: TranslatorInput) -> Mask:
    """Where the two likeliest classes of a block are equally likely, to 1 of 255 levels."""
    assert engine.card.legend_classes is not None
    classes = [(name,) for name in dict.fromkeys(engine.card.legend_classes)]
    image = prepared.image
    planes = engine.translate_tempered(image.pixels[None], image.block.margin, (), classes).planes[0]
    ordered = np.sort(planes.astype(int), axis=0)
    equal: Mask = ordered[-1] - ordered[-2] <= 1
    return equal


def test_too_small_a_margin_for_the_model_is_noticed(engine: Engine) -> None:
    """A margin of 32 px; `test_inference.py` shows that one step less than the model's does not suffice."""
    source = ragged_source(1003 * 256 + 100, 771 * 256 + 30, 600, 500)
    card: ModelCard = engine.card
    whole = render_whole(make_plan(source, 1, card.margin), source, engine)
    assert differences(render(make_plan(source, 1, 32), source, engine), *whole) > 1
