"""The end of a generator that draws borders steeper and chooses colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from geo2map.families import build
from geo2map.families.unet.cost import gflop_per_tile
from geo2map.families.unet.inference import FoldedUNet
from geo2map.families.unet.sharpen import Sharpen

COLOURS = ((232, 228, 222), (177, 208, 254), (250, 158, 37))
CHOICES = {"colours": COLOURS, "sharpen": 1.0, "sigma": 1.3, "commit": 0.8}


def picture(height: int = 48, width: int = 40) -> Tensor:
    return torch.rand(2, 3, height, width, dtype=torch.double, generator=torch.Generator().manual_seed(7)) * 2 - 1


def test_sharpening_is_unsharp_masking() -> None:
    x = picture()
    found, levels = Sharpen(COLOURS, sharpen=0.7, sigma=2.0)(x).numpy(), x.numpy()
    blurred = gaussian_filter(levels, (0, 0, 2.0, 2.0), mode="nearest", radius=5)
    np.testing.assert_allclose(found, np.clip(levels + 0.7 * (levels - blurred), -1, 1), atol=1e-12)


def test_the_choice_is_a_softmax_over_squared_distances() -> None:
    x = picture()
    levels = (x.numpy() + 1) * 127.5
    colours = np.array(COLOURS, dtype=float)
    distances = ((levels[:, None] - colours[None, :, :, None, None]) ** 2).sum(2)
    shares = np.exp(-(distances - distances.min(1, keepdims=True)) / 500)
    chosen = np.einsum("nkhw,kc->nchw", shares / shares.sum(1, keepdims=True), colours)
    found = Sharpen(COLOURS, commit=0.6, softness=500)(x).numpy()
    np.testing.assert_allclose((found + 1) * 127.5, 0.4 * levels + 0.6 * chosen, atol=1e-9)


def test_a_colour_of_the_style_stays() -> None:
    x = (torch.tensor(COLOURS).double() / 127.5 - 1).T[None, :, :, None].expand(1, 3, 3, 32)
    found = Sharpen(COLOURS, commit=1.0)(x)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-5)


@given(st.integers(0, 2), st.sampled_from([0.0, 1.0]), st.sampled_from([None, 8]))
def test_folded_with_a_margin_it_is_the_same(blocks: int, sharpen: float, strip: int | None) -> None:
    torch.manual_seed(3)
    network = (
        build("unet", widths=(4, 6), residual_blocks=(0, blocks), crispen=CHOICES | {"sharpen": sharpen})
        .double()
        .eval()
    )
    margin = network.margin
    x = torch.rand(1, 3, 2 * margin + 16, 2 * margin + 24, dtype=torch.double) * 2 - 1
    with torch.inference_mode():
        whole, folded = network(x), FoldedUNet(network, strip)
        torch.testing.assert_close(folded(x), whole, rtol=0, atol=1e-8)
        inside = whole[:, :, margin:-margin, margin:-margin]
        torch.testing.assert_close(folded(x, margin), inside, rtol=0, atol=1e-8)


def test_the_margin_grows_by_its_reach_and_suffices() -> None:
    torch.manual_seed(4)
    plain, crisp = (
        build("unet", widths=(4, 6)),
        build("unet", widths=(4, 6), crispen=CHOICES | {"sigma": 8.0}).double().eval(),
    )
    assert crisp.margin >= plain.margin + 20 - 4
    margin, size = crisp.margin, 2 * crisp.margin + 16
    x = torch.rand(1, 3, size, size, dtype=torch.double) * 2 - 1
    around = torch.rand(1, 3, size + 64, size + 64, dtype=torch.double) * 2 - 1
    around[:, :, 32:-32, 32:-32] = x
    with torch.inference_mode():
        folded = FoldedUNet(crisp)
        torch.testing.assert_close(folded(around, margin + 32), folded(x, margin), rtol=0, atol=1e-9)


def test_weights_are_those_of_the_plain_network() -> None:
    crisp = build("unet", widths=(4, 6), crispen=CHOICES)
    assert crisp.state_dict().keys() == build("unet", widths=(4, 6)).state_dict().keys()


def test_half_precision_rounds_no_colour() -> None:
    x = (torch.tensor(COLOURS).double() / 127.5 - 1).T[None, :, :, None].to(torch.bfloat16)
    levels = (Sharpen(COLOURS, commit=1.0).to(torch.bfloat16)(x) + 1) * 127.5
    assert torch.equal(levels.round()[0, :, :, 0].T.int(), torch.tensor(COLOURS).int())


def test_it_costs_little() -> None:
    plain = gflop_per_tile((16, 48), (0, 0))
    assert plain < gflop_per_tile((16, 48), (0, 0), crispen=CHOICES) < plain + 0.02


@pytest.mark.parametrize(
    "wrong",
    [
        {"colours": ()},
        {"colours": ((1, 2),)},
        {"sharpen": -1},
        {"sigma": 0},
        {"sigma": 9},
        {"commit": 2},
        {"softness": 0},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="crispen"):
        Sharpen(**CHOICES | wrong)
