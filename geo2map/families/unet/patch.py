"""Parts of feature maps, and convolutions that compute no more than a wanted part."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from geo2map.families.unet.reach import Interval, clip, widen


class Area(NamedTuple):
    """Rows and columns of a feature map."""

    rows: Interval
    columns: Interval

    def widen(self, radius: int, size: Area) -> Area:
        """What is `radius` around as well, within `size`."""
        return Area(widen(self.rows, radius, size.rows[1]), widen(self.columns, radius, size.columns[1]))


class Patch(NamedTuple):
    """What a feature map holds over an area.

    Attributes:
        values: float (N, channels, rows, columns) of the area.
        area: where that is in the whole map.
    """

    values: Tensor
    area: Area

    def cut(self, area: Area) -> Tensor:
        """A view of the values over an area that the patch holds."""
        (top, _), (left, _) = self.area
        (first, past), (start, stop) = area
        return self.values[:, :, first - top : past - top, start - left : stop - left]

    def paste(self, other: Patch) -> None:
        """Takes over what another patch holds of this one's area."""
        rows, columns = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(self.area, other.area, strict=True))
        if rows[0] < rows[1] and columns[0] < columns[1]:
            self.cut(Area(rows, columns)).copy_(other.cut(Area(rows, columns)))


def convolve(layer: nn.Conv2d, x: Patch, area: Area, size: Area) -> Patch:
    """Computes an area of a convolution with padding 1 whose kernel is the stride and 2 more (4x4/2, 3x3/1).

    Args:
        layer: the convolution.
        x: holds all that the area is computed from.
        area: what of the output.
        size: of the whole input, beyond which there are zeros.
    """
    stride = layer.stride[0]
    taken = Area(*((stride * first - 1, stride * past + 1) for first, past in area))
    there = Area(*(clip(part, whole[1]) for part, whole in zip(taken, size, strict=True)))
    (top, bottom), (left, right) = (
        (inside[0] - part[0], part[1] - inside[1]) for part, inside in zip(taken, there, strict=True)
    )
    values, padding = x.cut(there), 0
    if top == bottom == left == right:
        padding = top
    else:
        values = F.pad(values, (left, right, top, bottom))
    return Patch(F.conv2d(values, layer.weight, layer.bias, layer.stride, padding), area)
