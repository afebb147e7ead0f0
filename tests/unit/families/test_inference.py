"""The folded network: the same function as the generator, computed over the kept part only."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.families.unet.inference import FoldedUNet
from geo2map.families.unet.reach import split_interval, walk_down, walk_up


def trained(widths: tuple[int, ...], blocks: tuple[int, ...] = (), **options: Any) -> UNetGenerator:
    """A generator in double precision whose norms are far from doing nothing."""
    torch.manual_seed(1)
    network = build("unet", widths=widths, residual_blocks=blocks, **options).double().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            parameters = (
                module.parametrizations.weight.original if hasattr(module, "parametrizations") else module.weight
            )
            nn.init.normal_(parameters, 0, 0.2)  # type: ignore[arg-type]
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.weight, -2.0, 2.0), (module.bias, -1.0, 1.0)):
                nn.init.uniform_(values, low, high)
            nn.init.uniform_(module.running_mean, -1.0, 1.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.1, 3.0)  # type: ignore[arg-type]
    return network


def cropped(network: nn.Module, picture: Tensor, margin: int) -> Tensor:
    height, width = picture.shape[2:]
    output: Tensor = network(picture)
    return output[:, :, margin : height - margin, margin : width - margin]


@st.composite
def networks(draw: st.DrawFn) -> UNetGenerator:
    depth = draw(st.integers(1, 5))
    blocks = tuple(draw(st.lists(st.integers(0, 2), min_size=depth, max_size=depth)))
    norm = draw(st.sampled_from(["batch", "renorm", "none"]))
    legend = draw(st.sampled_from([(), ((232, 228, 222), (177, 208, 254), (250, 158, 37), (9, 9, 9))]))
    resize = draw(st.booleans())
    return trained((3, 4, 5, 4, 3)[:depth], blocks, norm=norm, legend=legend, resize_convolution=resize)


@given(data=st.data(), network=networks())
def test_the_same_function_whatever_margin_and_strip(data: st.DataObject, network: UNetGenerator) -> None:
    """Also where the margin is too small for the walk back, which then ends at the picture's border."""
    unit = network.size_multiple
    height, width = (unit * data.draw(st.integers(1, 6)) for _ in range(2))
    margin = data.draw(st.integers(0, (min(height, width) - 1) // 2))
    strip = data.draw(st.sampled_from([None, 1, 3, 8, 16]))
    picture = torch.rand(data.draw(st.integers(1, 2)), 3, height, width, dtype=torch.double) * 2 - 1
    with torch.inference_mode():
        expected = cropped(network, picture, margin)
        found = FoldedUNet(network, strip)(picture, margin)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_what_lies_beyond_the_reach_is_not_looked_at() -> None:
    """Pixels beyond the walk back are not numbers, and nobody notices."""
    network = trained((4, 4, 4, 4), (0, 1, 0, 1))
    margin = network.margin
    picture = torch.rand(1, 3, 2 * margin + 64, 2 * margin + 64, dtype=torch.double)
    first, past = walk_down(
        walk_up((margin, margin + 64), picture.shape[2], 4)[-1], picture.shape[2], network.residual_blocks
    )[0]
    broken = torch.full_like(picture, torch.nan)
    broken[:, :, first:past, first:past] = picture[:, :, first:past, first:past]
    with torch.inference_mode():
        folded = FoldedUNet(network, 16)
        assert torch.equal(folded(broken, margin), folded(picture, margin))
        broken[:, :, first] = torch.nan
        assert folded(broken, margin).isnan().any()


def test_work_shrinks_with_the_margin() -> None:
    """A block of 4 x 4 tiles: every map of the way up is one or two larger than the kept part, not margin and all."""
    assert walk_up((160, 1184), 1344, 5) == [(160, 1184), (79, 593), (39, 297), (19, 149), (9, 75), (4, 38)]
    assert walk_down((4, 38), 1344, (0, 0, 2, 2, 0))[1:] == [(1, 671), (1, 335), (5, 163), (7, 77), (4, 38)]


def test_strips_cover_everything_once() -> None:
    assert list(split_interval((3, 12), 4)) == [(3, 7), (7, 11), (11, 12)]


def test_steps_are_applied_to_every_strip() -> None:
    network = trained((4, 4))
    picture = torch.rand(1, 3, 32, 32, dtype=torch.double)
    with torch.inference_mode():
        found = FoldedUNet(network, 8)(picture * 255, 4, lambda x: x / 255, lambda y: -y)
        torch.testing.assert_close(found, -cropped(network, picture, 4), rtol=0, atol=1e-9)


def test_threads_change_no_bit() -> None:
    """So that a map does not depend on how many pictures share the processor's threads."""
    network = build("unet", widths=(16, 48, 96), residual_blocks=(0, 0, 1), legend=[[0, 0, 0], [255, 255, 255]]).eval()
    folded, before, found = FoldedUNet(network, 128).float(), torch.get_num_threads(), []
    picture = torch.rand(1, 3, 544, 544).to(memory_format=torch.channels_last) * 2 - 1
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                found.append(folded(picture, 144))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_the_generator_is_left_alone() -> None:
    network = trained((4, 4, 4), (1, 0, 1), resize_convolution=True)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    picture = torch.rand(1, 3, 16, 16, dtype=torch.double)
    kept = picture.clone()
    with torch.inference_mode():
        FoldedUNet(network)(picture)
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())
    assert torch.equal(picture, kept)
    folded = FoldedUNet(network)
    assert not any(isinstance(part, nn.Dropout) or part.training for part in folded.modules())


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(ValueError, match="instance normalisation"):
        FoldedUNet(UNetGenerator((4, 4, 4), norm="instance"))
    folded = FoldedUNet(UNetGenerator((4, 4, 4)))
    with pytest.raises(ValueError, match="multiples of 8"):
        folded(torch.zeros(1, 3, 16, 20))
    with pytest.raises(ValueError, match="more than the margins"):
        folded(torch.zeros(1, 3, 16, 16), 8)
