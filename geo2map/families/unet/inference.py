"""A U-Net made ready to translate: the same function with fewer operations, computing only what is kept."""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geo2map.families.runner import Runner, Step
from geo2map.families.unet.generator import ResidualBlock, UNetGenerator
from geo2map.families.unet.patch import Area, Patch, convolve
from geo2map.families.unet.reach import split_interval, walk_down, walk_up

OUTER = 2
"""Levels that work strip by strip; the maps farther in are small."""

_Layer = TypeVar("_Layer", nn.Conv2d, nn.ConvTranspose2d)


class FoldedUNet(Runner):
    """A `UNetGenerator` in evaluation mode, with its norms folded into its convolutions; a copy of its weights.

    Given a margin, every layer computes only what the kept part of the output needs. The output equals the same
    part of the generator's up to rounding, whatever the margin: where the walk back ends at the picture's border,
    the border is padded with zeros as it always is.

    The outer levels, whose maps are the largest, work on strips of rows, so that these stay in the processor's
    cache and in memory that need not be asked for anew.

    Args:
        generator: with norm "batch", "renorm" or "none".
        strip: rows of the output at once; None means all.

    Raises:
        ValueError: norm "instance", which depends on the whole picture.
    """

    fixed_calls = True

    def __init__(self, generator: UNetGenerator, strip: int | None = None) -> None:
        super().__init__()
        if any(isinstance(layer, nn.InstanceNorm2d) for layer in generator.modules()):
            raise ValueError("instance normalisation cannot be folded: it depends on the whole picture")
        self.depth, self.residual_blocks, self.strip = generator.depth, generator.residual_blocks, strip
        self.head, self.sharpen = copy.deepcopy(generator.head), copy.deepcopy(generator.sharpen)
        with torch.no_grad():
            self.down = nn.ModuleList(_Down(level, innermost=level is generator.down[-1]) for level in generator.down)
            self.up = nn.ModuleList(_phases(_transposed(*list(level.children())[1:3])) for level in generator.up[1:])
            self.last = _phases(generator.transposed()[0])
        self.eval().requires_grad_(False)

    def forward(
        self,
        x: Tensor,
        margin: int = 0,
        before: Step | None = None,
        after: Step | None = None,
        beside: Step | None = None,
    ) -> Tensor:
        """Translates (N, in_channels, H, W) to (N, out_channels, H - 2 margin, W - 2 margin).

        Args:
            x: in [-1, 1], or whatever `before` makes that of; H and W are multiples of 2^depth.
            margin: pixels around that are context only.
            before: applied to each strip of the input.
            after: applied to each strip of the output.
            beside: applied to each strip of what the head takes, see `Runner.forward`.

        Raises:
            ValueError: H or W is no multiple of 2^depth, or the margin leaves nothing.
        """
        height, width = x.shape[2:]
        if height % 2**self.depth or width % 2**self.depth or 2 * margin >= min(height, width):
            raise ValueError(
                f"a picture of {width} x {height} px with margin {margin}: sides must be multiples of "
                f"{2**self.depth} and more than the margins"
            )
        sizes = [Area((0, height >> level), (0, width >> level)) for level in range(self.depth + 1)]
        kept = Area((margin, height - margin), (margin, width - margin))
        if self.sharpen is None:
            done = self._draw(x, kept, sizes, before, _Ends(self.head, after, beside))
        else:
            drawn = kept.widen(self.sharpen.reach, sizes[0])
            picture, *planes = self._draw(x, drawn, sizes, before, _Ends(self.head, None, beside))
            sharp = self.sharpen.over(Patch(picture, drawn), kept, self._rows(1, kept), after)
            done = [sharp, *(Patch(values, drawn).cut(kept) for values in planes)]
        return torch.cat(done, 1) if beside else done[0]

    def _draw(self, x: Tensor, kept: Area, sizes: list[Area], before: Step | None, ends: _Ends) -> list[Tensor]:
        """An area of what the convolutions make of a picture, and of what is told beside it."""
        ups = [walk_up(part, whole[1], self.depth) for part, whole in zip(kept, sizes[0], strict=True)]
        up = [Area(*area) for area in zip(*ups, strict=True)]
        skips = self._outer_down(Patch(x, sizes[0]), up, sizes, before)
        outer = len(skips)
        down = self._areas_down(up[-1], sizes[0], self.depth)
        for level in range(outer, self.depth):
            skips.append(self.down[level](skips[-1], down[level + 1], sizes[level]))
        inner = skips.pop()
        for level in range(self.depth, outer, -1):
            inner = self._join(level, inner, skips[level - 2], up[level - 1])
        return self._outer_up(inner, skips, up, sizes[0].rows[1], ends)

    def _areas_down(self, wanted: Area, size: Area, depth: int) -> list[Area]:
        blocks = self.residual_blocks[:depth]
        sides = [walk_down(part, whole[1], blocks) for part, whole in zip(wanted, size, strict=True)]
        return [Area(*area) for area in zip(*sides, strict=True)]

    def _outer_down(self, x: Patch, up: list[Area], sizes: list[Area], before: Step | None) -> list[Patch]:
        """The outer levels of the way down: over what the skips need, the last over what the next level needs."""
        outer = min(OUTER, self.depth)
        last = self._areas_down(up[-1], sizes[0], self.depth)[outer]
        skips: list[Patch] = []
        for rows in split_interval(last.rows, self._rows(outer, last)):
            areas = self._areas_down(Area(rows, last.columns), sizes[0], outer)
            values = x.cut(areas[0])
            patch = Patch(before(values) if before else values, areas[0])
            for level in range(1, outer + 1):
                patch = self.down[level - 1](patch, areas[level], sizes[level - 1])
                if len(skips) < level:
                    skips.append(_empty(patch, up[level] if level < outer else last))
                skips[level - 1].paste(patch)
        return skips

    def _outer_up(self, inner: Patch, skips: list[Patch], up: list[Area], height: int, ends: _Ends) -> list[Tensor]:
        outer = min(OUTER, self.depth)
        done: list[list[Tensor]] = []
        for strip in split_interval(up[0].rows, self._rows(0, up[0])):
            rows = walk_up(strip, height, outer)
            areas = [Area(part, area.columns) for part, area in zip(rows, up, strict=False)]
            patch = Patch(inner.cut(areas[outer]), areas[outer])
            for level in range(outer, 1, -1):
                patch = self._join(level, patch, skips[level - 2], areas[level - 1])
            done.append(ends(_risen(self.last, patch).cut(areas[0])))
        return [torch.cat(strips, 2) for strips in zip(*done, strict=True)] if len(done) > 1 else done[0]

    def _rows(self, level: int, area: Area) -> int:
        """How many rows of a level make a strip."""
        return max(1, self.strip >> level) if self.strip else area.rows[1] - area.rows[0]

    def _join(self, level: int, inner: Patch, skip: Patch, area: Area) -> Patch:
        """What the transposed convolution of a level and the skip outside it give the next level to take."""
        outer = _risen(self.up[level - 2], inner)
        return Patch(torch.cat((skip.cut(area), outer.cut(area)), 1).relu_(), area)


class _Ends(NamedTuple):
    """What becomes of the last convolution's output: the picture, and what is told beside it.

    Attributes:
        head: draws the picture.
        after, beside: see `Runner.forward`.
    """

    head: nn.Module
    after: Step | None
    beside: Step | None

    def __call__(self, values: Tensor) -> list[Tensor]:
        """The parts, each (N, bands, H, W)."""
        if self.beside:
            values = values.contiguous()  # once for both
        picture: Tensor = self.head(values)
        done = [self.after(picture) if self.after else picture]
        return [*done, self.beside(values)] if self.beside else done


class _Down(nn.Module):
    """A level of the way down, activation included: LeakyReLU, innermost ReLU.

    What comes back goes through a ReLU once more where it is a skip, and ReLU(LeakyReLU(x)) = ReLU(x).
    """

    def __init__(self, level: nn.Module, innermost: bool) -> None:
        super().__init__()
        layers = [layer for layer in level.children() if not isinstance(layer, nn.LeakyReLU)]
        self.convolution = _convolution(*layers[:2])
        self.residuals = nn.ModuleList(_Residual(layer) for layer in layers if isinstance(layer, ResidualBlock))
        self.slope = 0.0 if innermost else 0.2

    def forward(self, x: Patch, area: Area, size: Area) -> Patch:
        """Computes an area from a patch of what is outside, a map of this size."""
        own = Area(*((first // 2, past // 2) for first, past in size))
        x = convolve(self.convolution, x, area.widen(2 * len(self.residuals), own), size)
        for left, block in zip(range(len(self.residuals) - 1, -1, -1), self.residuals, strict=True):
            x = block(x, area.widen(2 * left, own), own)
        return Patch(F.leaky_relu_(x.values, self.slope), area)


class _Residual(nn.Module):
    """A residual block; only its second norm follows a convolution and folds."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        own, _, first, norm, _, second = block.body
        self.norm = copy.deepcopy(own)
        self.first, self.second = _convolution(first, norm), _convolution(second)

    def forward(self, x: Patch, area: Area, size: Area) -> Patch:
        values = F.relu(x.values) if isinstance(self.norm, nn.Identity) else F.relu_(self.norm(x.values))
        y = convolve(self.first, Patch(values, x.area), area.widen(1, size), size)
        F.relu_(y.values)
        y = convolve(self.second, y, area, size)
        y.values.add_(x.cut(area))
        return y


def _empty(like: Patch, area: Area) -> Patch:
    """Room for an area of a map."""
    count, channels = like.values.shape[:2]
    (top, bottom), (left, right) = area
    shape = (count, channels, bottom - top, right - left)
    values = torch.empty(shape, dtype=like.values.dtype, device=like.values.device, memory_format=torch.channels_last)
    return Patch(values, area)


def _convolution(layer: nn.Module, norm: nn.Module | None = None) -> nn.Conv2d:
    """A new convolution that does what another one and the norm after it do."""
    assert isinstance(layer, nn.Conv2d)
    same = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0], 1, device="meta")
    return _with(same, *_folded(layer, norm, (-1, 1, 1, 1)))


def _transposed(layer: nn.Module, norm: nn.Module) -> nn.ConvTranspose2d:
    """A new transposed convolution that does what another one and the norm after it do."""
    assert isinstance(layer, nn.ConvTranspose2d)
    same = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, 4, 2, 1, device="meta")
    return _with(same, *_folded(layer, norm, (1, -1, 1, 1)))


def _folded(layer: _Layer, norm: nn.Module | None, shape: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
    """Weight and bias in float64, those of the norm after it multiplied in; `shape` is that of a factor a channel."""
    weight, bias = layer.weight.double(), None if layer.bias is None else layer.bias.double()
    if not isinstance(norm, nn.BatchNorm2d):
        return weight, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = -norm.running_mean.double() if bias is None else bias - norm.running_mean.double()
    return weight * scale.view(shape), shift * scale + norm.bias.double()


def _with(layer: _Layer, weight: Tensor, bias: Tensor | None) -> _Layer:
    layer.weight = nn.Parameter(weight.clone())
    layer.bias = None if bias is None else nn.Parameter(bias.clone())
    return layer


def _risen(phases: nn.Module, inner: Patch) -> Patch:
    """What a transposed convolution makes of a patch, by its `_phases`."""
    values = F.pixel_shuffle(phases(inner.values), 2)
    return Patch(values, Area(*((2 * first - 1, 2 * past + 1) for first, past in inner.area)))


def _phases(layer: nn.ConvTranspose2d) -> nn.Conv2d:
    """A 4x4 stride-2 transposed convolution as a 2x2 convolution with four times the channels and a pixel shuffle.

    Inputs i-1 and i make the outputs 2i-1 (with kernel elements 2 and 0) and 2i (with 3 and 1), along each axis.
    Processors do this faster, for the three channels of a picture several times, and torch's transposed convolution
    sums in an order that depends on the number of threads. With its padding of 1, inputs [first, past) make outputs
    [2 first - 1, 2 past + 1).
    """
    elements = torch.tensor([[2, 0], [3, 1]], device=layer.weight.device)
    weight = layer.weight.double()[:, :, elements[:, :, None, None], elements].permute(1, 2, 4, 0, 3, 5)
    same = nn.Conv2d(layer.in_channels, 4 * layer.out_channels, 2, padding=1, device="meta")
    bias = None if layer.bias is None else layer.bias.double().repeat_interleave(4)
    return _with(same, weight.reshape(4 * layer.out_channels, layer.in_channels, 2, 2), bias)
