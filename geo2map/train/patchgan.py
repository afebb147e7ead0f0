"""The conditional PatchGAN discriminator of pix2pix: judges overlapping patches, not whole pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geo2map.families.generator import initialise


class PatchGAN(nn.Module):
    """C64-C128-C256-C512 and a 1-channel convolution, 4x4 kernels; 70x70 px patches at `layers` = 3.

    Args:
        width: channels of the first convolution (64 in the paper).
        layers: stride-2 convolutions (3 in the paper).
        in_channels: bands of A and B together.
    """

    def __init__(self, width: int = 64, layers: int = 3, in_channels: int = 6) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for index in range(1, layers + 1):
            wider, stride = width * min(2**index, 8), 2 if index < layers else 1
            stages += [nn.Conv2d(channels, wider, 4, stride=stride, padding=1, bias=False)]
            stages += [nn.BatchNorm2d(wider), nn.LeakyReLU(0.2)]
            channels = wider
        stages.append(nn.Conv2d(channels, 1, 4, stride=1, padding=1))
        self.body = nn.Sequential(*stages)
        self.apply(initialise)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Logits float (N, 1, h, w), high where the patch of B looks real given A."""
        return self.judge(a, b)[0]

    def judge(self, a: Tensor, b: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits as `forward` has them, and the features after each LeakyReLU for feature matching."""
        x, features = torch.cat((a, b), 1), []
        for layer in self.body:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return x, features
