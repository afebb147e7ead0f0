"""The losses of pix2pix; its L1 can be balanced over the classes of a map style."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geo2map.colour.palette import Palette
from geo2map.types import GanMode


def adversarial(logits: Tensor, real: bool, mode: GanMode = "bce") -> Tensor:
    """The discriminator's mean loss of calling every patch real (or fake); for the first two modes the generator's
    too: the paper's cross-entropy, least squares (Mao et al., ICCV 2017), or hinge (Lim & Ye, 2017)."""
    if mode == "hinge":
        return F.relu(1.0 - logits if real else 1.0 + logits).mean()
    target = torch.full_like(logits, 1.0 if real else 0.0)
    if mode == "bce":
        return F.binary_cross_entropy_with_logits(logits, target)
    return F.mse_loss(logits, target)


def fooling(logits: Tensor, mode: GanMode = "bce") -> Tensor:
    """The generator's mean loss over the logits of its own patches."""
    return -logits.mean() if mode == "hinge" else adversarial(logits, True, mode)


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean L1 between the discriminator's features of fake and real (pix2pixHD, Wang et al., CVPR 2018)."""
    return torch.stack([F.l1_loss(f.float(), r.float().detach()) for f, r in zip(fake, real, strict=True)]).mean()


class BalancedL1(nn.Module):
    """L1 in which a pixel counts by the palette class of its true colour: (class share)^-`balance`, mean 1.

    Plain L1 settles on the median colour, so a rare class vanishes wherever it is likely but not certain. The
    weighted median still is one of the colours, not a blend, but it takes the rare class's side earlier.

    Args:
        palette: the map style.
        shares: share of each palette class in the training maps, (classes,).
        balance: 0 is plain L1, 1 makes every class count alike in all.
    """

    def __init__(self, palette: Palette, shares: Tensor, balance: float) -> None:
        super().__init__()
        weights = shares.double().clamp_min(1e-3) ** -balance
        weights = weights / (weights * shares).sum()
        self.register_buffer("colours", torch.from_numpy(palette.colours).float() / 127.5 - 1.0)
        self.register_buffer("weights", weights[torch.from_numpy(palette.class_of_entry)].float())
        self.colours: Tensor
        self.weights: Tensor

    def forward(self, fake_b: Tensor, real_b: Tensor) -> Tensor:
        """Weighted mean absolute difference of two float (N, 3, H, W) in [-1, 1]."""
        offset = -0.5 * (self.colours**2).sum(1)
        nearest = F.conv2d(real_b, self.colours[:, :, None, None], offset).argmax(1)
        return (self.weights[nearest] * (fake_b - real_b).abs().mean(1)).mean()
