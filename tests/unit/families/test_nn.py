from __future__ import annotations

import pytest
import torch

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.train.losses import BalancedL1, adversarial
from geo2map.train.patchgan import PatchGAN


def random_unet(widths: tuple[int, ...], blocks: tuple[int, ...] = (), **kwargs: bool) -> UNetGenerator:
    torch.manual_seed(1)
    network = UNetGenerator(widths, blocks, **kwargs).double().eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(0, 0.3)
    return network


@pytest.mark.parametrize(("depth", "margin"), [(4, 32), (5, 64), (6, 128), (7, 256), (8, 512)])
def test_margin_of_a_plain_unet(depth: int, margin: int) -> None:
    assert UNetGenerator((4,) * depth).margin == margin
    assert UNetGenerator((4,) * depth).size_multiple == 2**depth


@pytest.mark.parametrize("blocks", [(), (0, 1, 1, 0), (1, 0, 2, 1)])
def test_the_margin_suffices_and_less_does_not(blocks: tuple[int, ...]) -> None:
    network = random_unet((4, 8, 8, 8), blocks)
    margin, step = network.margin, network.size_multiple
    scene = torch.randn(1, 3, 768, 32, dtype=torch.double)
    with torch.inference_mode():
        whole = network(scene)[:, :, 384:448]
        cut = network(scene[:, :, 384 - margin : 448 + margin])[:, :, margin : margin + 64]
        less = network(scene[:, :, 384 - margin + step : 448 + margin - step])[:, :, margin - step :][:, :, :64]
    assert (cut - whole).abs().max() < 1e-12
    assert (less - whole).abs().max() > 1e-3


def test_folded_resize_convolution_is_the_same_function() -> None:
    network = random_unet((4, 8, 8), resize_convolution=True)
    picture = torch.randn(1, 3, 32, 32, dtype=torch.double)
    with torch.inference_mode():
        before = network(picture)
        after = network.fold()(picture)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-13)
    UNetGenerator((4, 8, 8)).load_state_dict({k: v.float() for k, v in network.state_dict().items()})


def test_resize_convolution_is_nearest_upsampling_and_a_convolution() -> None:
    from geo2map.families.unet.generator import ResizeKernel

    kernel, picture = torch.randn(2, 5, 3, 3), torch.randn(1, 2, 6, 7)
    ours = torch.nn.functional.conv_transpose2d(picture, ResizeKernel()(kernel), stride=2, padding=1)
    larger = torch.nn.functional.interpolate(picture, scale_factor=2, mode="nearest")
    theirs = torch.nn.functional.conv2d(larger, kernel.transpose(0, 1), padding=1)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_unet_256_has_the_papers_size() -> None:
    network = build("unet", widths=(64, 128, 256, 512, 512, 512, 512, 512), dropout=(5, 6, 7))
    assert sum(p.numel() for p in network.parameters()) == 54_413_955
    assert sum(p.numel() for p in PatchGAN().parameters()) == 2_768_705
    assert PatchGAN()(torch.zeros(1, 3, 256, 256), torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_build_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="not one of unet"):
        build("resnet")
    with pytest.raises(ValueError, match="cannot be built"):
        build("unet", depth=3)
    with pytest.raises(ValueError, match="give one a level"):
        build("unet", widths=(4, 4), residual_blocks=(1,))


def test_adversarial_prefers_the_right_answer() -> None:
    confident = torch.full((1, 1, 2, 2), 5.0)
    for mode in ("bce", "lsgan"):
        assert adversarial(confident, True, mode) != adversarial(confident, False, mode)
    assert adversarial(confident, True) < 0.01 < 4 < adversarial(confident, False)


def test_balanced_l1() -> None:
    shares = torch.tensor([0.90, 0.02, 0.02, 0.02, 0.02, 0.02])
    colours = torch.from_numpy(MAPS_PALETTE.colours).float() / 127.5 - 1
    truth = colours[[0] * 9 + [3]].T.reshape(1, 3, 1, 10)
    wrong_land = truth.clone()
    wrong_land[..., 0] += 0.1
    wrong_water = truth.clone()
    wrong_water[..., 9] += 0.1
    plain, balanced = BalancedL1(MAPS_PALETTE, shares, 0.0), BalancedL1(MAPS_PALETTE, shares, 0.5)
    assert plain(wrong_land, truth) == pytest.approx(float((wrong_land - truth).abs().mean()))
    assert plain(wrong_land, truth) == pytest.approx(float(plain(wrong_water, truth)))
    ratio = float(balanced(wrong_water, truth) / balanced(wrong_land, truth))
    assert ratio == pytest.approx((0.90 / 0.02) ** 0.5, rel=1e-3)
