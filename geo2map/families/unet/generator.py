"""The pix2pix U-Net generator (Isola et al., CVPR 2017), of any depth, with optional residual blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from geo2map.families.generator import Generator, initialise
from geo2map.families.legend import Legend
from geo2map.families.unet.reach import walk_down, walk_up
from geo2map.families.unet.renorm import BatchRenorm2d
from geo2map.families.unet.sharpen import Sharpen

NormKind = Literal["batch", "renorm", "instance", "none"]


def _norm(kind: NormKind, channels: int) -> nn.Module:
    if kind in ("batch", "renorm"):
        return nn.BatchNorm2d(channels) if kind == "batch" else BatchRenorm2d(channels)
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


class ResidualBlock(nn.Module):
    """Pre-activation residual block: x + (Norm-ReLU-Conv3x3) twice. Keeps the shape."""

    def __init__(self, channels: int, norm: NormKind) -> None:
        super().__init__()
        bias = norm not in ("batch", "renorm")
        self.body = nn.Sequential(
            _norm(norm, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
            _norm(norm, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class ResizeKernel(nn.Module):
    """Parametrises a 4x4 stride-2 transposed kernel as nearest-neighbour upsampling and a 3x3 convolution.

    Resize-convolution has no checkerboard (Odena et al., Distill 2016) and equals exactly the transposed
    convolution whose kernel is (w2, w1+w2, w0+w1, w0) along each axis, so training costs no more than with
    the plain layer, and removing the parametrisation leaves a plain `ConvTranspose2d`.
    """

    def forward(self, weight3: Tensor) -> Tensor:
        for axis in (2, 3):
            w0, w1, w2 = weight3.unbind(axis)
            weight3 = torch.stack((w2, w1 + w2, w0 + w1, w0), axis)
        return weight3

    def right_inverse(self, weight4: Tensor) -> Tensor:
        """The 3x3 kernel of a folded one; for any other, the middle is the mean of what both halves say."""
        for axis in (3, 2):
            a, b, c, d = weight4.unbind(axis)
            weight4 = torch.stack((d, (b - a + c - d) / 2, a), axis)
        return weight4.contiguous()


class UNetGenerator(Generator):
    """Encoder of 4x4 stride-2 convolutions, mirrored decoder of transposed ones, a skip at every level.

    Level k (1 is the outermost) works at 1/2^k of the input's resolution. The order inside a level is the
    paper's: LeakyReLU(0.2), convolution, norm on the way down; ReLU, transposed convolution, norm on the way
    up; no norm on the first and on the innermost convolution; tanh at the end.

    Args:
        widths: channels of each level; their number is the depth.
        residual_blocks: blocks after each level's convolution on the way down; empty means none.
        norm: normalisation; "batch" and "renorm" (in eval mode, where they are the same) and "none" make tiled
            output equal whole output, "instance" does not.
        dropout: levels on the way up, counted like `widths`, that drop half their channels' pixels in training.
        in_channels, out_channels: bands of input and output.
        resize_convolution: train the way up as resize-convolution (see `ResizeKernel`); `fold` ends it.

    Attributes:
        head: the paper's tanh, or a `geo2map.families.legend.Legend`.
        sharpen: what follows the head; None in the paper.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512, 512, 512, 512, 512),
        residual_blocks: Sequence[int] = (),
        norm: NormKind = "batch",
        dropout: Sequence[int] = (),
        in_channels: int = 3,
        out_channels: int = 3,
        resize_convolution: bool = False,
    ) -> None:
        super().__init__()
        self.depth, self.in_channels = len(widths), in_channels
        self.head: nn.Module = nn.Tanh()
        self.sharpen: Sharpen | None = None
        self.residual_blocks = tuple(residual_blocks) or (0,) * self.depth
        if len(self.residual_blocks) != self.depth:
            raise ValueError(f"{self.depth} widths but {len(self.residual_blocks)} residual_blocks: give one a level")
        bias = norm not in ("batch", "renorm")
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths, start=1):
            inner = widths[level - 2] if level > 1 else in_channels
            layers: list[nn.Module] = [nn.Conv2d(inner, width, 4, stride=2, padding=1, bias=bias)]
            if level > 1:
                layers.insert(0, nn.LeakyReLU(0.2))
                if level < self.depth:
                    layers.append(_norm(norm, width))
            layers += [ResidualBlock(width, norm) for _ in range(self.residual_blocks[level - 1])]
            self.down.append(nn.Sequential(*layers))
            below = width if level == self.depth else 2 * width
            outer = widths[level - 2] if level > 1 else out_channels
            upward = nn.ConvTranspose2d(below, outer, 4, stride=2, padding=1, bias=bias or level == 1)
            tail: list[nn.Module] = [] if level == 1 else [_norm(norm, outer)]
            if level in dropout:
                tail.append(nn.Dropout(0.5))
            self.up.append(nn.Sequential(nn.ReLU(), upward, *tail))
        self.apply(initialise)
        if resize_convolution:
            for upward in self.transposed():
                parametrize.register_parametrization(upward, "weight", ResizeKernel())

    def forward(self, x: Tensor, return_logits: bool = False) -> Tensor:
        skips: list[Tensor] = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for up in reversed(self.up):
            x = up(x)
            if skips:
                x = torch.cat((skips.pop(), x), 1)
        if return_logits:
            return x
        picture: Tensor = self.head(x)
        return picture if self.sharpen is None else self.sharpen(picture)

    def fold(self) -> UNetGenerator:
        """Turns resize-convolutions into the plain transposed convolutions they equal, in place."""
        for upward in self.transposed():
            if parametrize.is_parametrized(upward, "weight"):
                parametrize.remove_parametrizations(upward, "weight", leave_parametrized=True)
        return self

    def transposed(self) -> list[nn.ConvTranspose2d]:
        """The transposed convolutions of the way up, outermost first."""
        return [layer for up in self.up for layer in up.children() if isinstance(layer, nn.ConvTranspose2d)]

    @property
    def size_multiple(self) -> int:
        return int(2**self.depth)

    @property
    def margin(self) -> int:
        """Computed by walking the needed interval back through the layers, far from any border."""
        unit = self.size_multiple
        low, high = unit << 10, (unit << 10) + unit
        size, beyond = low + high, 0 if self.sharpen is None else self.sharpen.reach
        drawn = (low - beyond, high + beyond)
        first, past = walk_down(walk_up(drawn, size, self.depth)[-1], size, self.residual_blocks)[0]
        reach = max(low - first, past - high)
        return -(-reach // unit) * unit


def make_generator(
    legend: Sequence[Sequence[int]] = (), crispen: Mapping[str, Any] | None = None, **config: Any
) -> UNetGenerator:
    """Makes a generator from a card's configuration.

    Args:
        legend: colours that the last convolution scores, see `Legend`; none gives tanh.
        crispen: the arguments of `Sharpen`; None leaves it out.
        config: the arguments of `UNetGenerator`.

    Raises:
        TypeError, ValueError: arguments that these do not take.
    """
    generator = UNetGenerator(**(config | {"out_channels": len(legend)} if legend else config))
    if legend:
        generator.head = Legend(legend)
    generator.sharpen = None if crispen is None else Sharpen(**crispen)
    return generator
