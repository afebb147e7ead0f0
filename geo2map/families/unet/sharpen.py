"""After a generator's head: sharper borders, and colours closer to those of the map style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geo2map.families.legend import Legend
from geo2map.families.unet.patch import Area, Patch
from geo2map.families.unet.reach import split_interval

LARGEST_SIGMA = 8.0


class Sharpen(nn.Module):
    """Unsharp masking, then a soft choice of the nearest of some colours. Has no weights to train.

    A generator that is trained with L1 gives something between the colours that are likely, so its borders are soft
    and its areas uneven. With x the picture and G a Gaussian's blur, this gives

        y = x + sharpen (x - G x),  and  y + commit (sum of softmax(-|y - c|^2 / softness) c - y) over the colours c.

    Args:
        colours: of the style, levels 0 to 255, (red, green, blue) each.
        sharpen: how much of the difference from the blurred picture is added; 0 leaves borders alone.
        sigma: of the blur, in px.
        commit: palette commitment, how far colours move towards the chosen one, 0 to 1.
        softness: of the choice, in squared grey levels.

    Raises:
        ValueError: colours or numbers that cannot be.
    """

    def __init__(
        self,
        colours: Sequence[Sequence[int]],
        sharpen: float = 0.0,
        sigma: float = 2.5,
        commit: float = 0.0,
        softness: float = 30.0,
    ) -> None:
        super().__init__()
        self.legend = Legend(colours)
        if not (0 <= sharpen <= 10 and 0 < sigma <= LARGEST_SIGMA and 0 <= commit <= 1 and softness >= 1):
            raise ValueError(
                f"crispen with sharpen {sharpen}, sigma {sigma}, commit {commit}, softness {softness}: sharpen is 0 to "
                f"10, sigma more than 0 and at most {LARGEST_SIGMA:g}, commit 0 to 1, softness at least 1"
            )
        self.amount, self.palette_commitment = float(sharpen), float(commit)
        self.reach = math.ceil(2.5 * sigma) if sharpen else 0
        taps = [math.exp(-((step / sigma) ** 2) / 2) for step in range(self.reach + 1)]
        self.taps = [tap / (2 * sum(taps) - taps[0]) for tap in taps]
        seen, scale = self.legend.colours / 127.5 - 1, 2 * 127.5**2 / softness
        # -|y - c|^2 and 2 y c - c^2 differ by what is the same for every colour, which softmax does not see
        # no buffers: half precision would round them
        self._choose, self._offset = seen * scale, -(seen**2).sum(1, keepdim=True) * scale / 2

    def forward(self, x: Tensor) -> Tensor:
        """A whole picture (N, 3, H, W) in [-1, 1], its border pixels repeated outside: (N, 3, H, W)."""
        return self._inside(F.pad(x, (self.reach,) * 4, "replicate") if self.reach else x)

    def over(self, x: Patch, area: Area, rows: int, after: Callable[[Tensor], Tensor] | None) -> Tensor:
        """An area of the picture, in strips.

        Args:
            x: holds the area and `reach` around it; where it ends before, the picture does.
            area: what is wanted.
            rows: of a strip.
            after: applied to each strip.
        """
        (top, bottom), (left, right) = (
            (self.reach - (wanted[0] - held[0]), self.reach - (held[1] - wanted[1]))
            for wanted, held in zip(area, x.area, strict=True)
        )
        values = x.values
        if top or bottom or left or right:
            values = F.pad(values, (left, right, top, bottom), "replicate")
        done: list[Tensor] = []
        for first, past in split_interval((0, area.rows[1] - area.rows[0]), rows):
            strip = self._inside(values[:, :, first : past + 2 * self.reach])
            done.append(after(strip) if after else strip)
        return torch.cat(done, 2) if len(done) > 1 else done[0]

    def _inside(self, x: Tensor) -> Tensor:
        """What is `reach` px or more from the border of (N, 3, H, W)."""
        values = x if x.dtype == torch.float64 else x.float()
        values = values.contiguous()  # one plane a band: everything below goes along planes
        if self.amount:
            values = self._sharpened(values)
        return self._committed(values) if self.palette_commitment else values

    def _committed(self, x: Tensor) -> Tensor:
        """Moves colours towards the chosen one."""
        values = x.flatten(2)
        scores = torch.baddbmm(self._offset.to(x), self._choose.to(x).expand(len(x), -1, -1), values)
        return torch.lerp(values, self.legend.mixed(scores), self.palette_commitment).view_as(x)

    def _sharpened(self, x: Tensor) -> Tensor:
        blurred = self._blurred(self._blurred(x, 2), 3)
        inside = x[:, :, self.reach : x.shape[2] - self.reach, self.reach : x.shape[3] - self.reach]
        return torch.lerp(inside, blurred, -self.amount).clamp(-1, 1)

    def _blurred(self, x: Tensor, axis: int) -> Tensor:
        """Along one axis, which becomes 2 `reach` shorter; sums, since small kernels of few channels are slow."""
        length = x.shape[axis] - 2 * self.reach
        total = x.narrow(axis, self.reach, length) * self.taps[0]
        for step, tap in enumerate(self.taps[1:], start=1):
            both = x.narrow(axis, self.reach - step, length) + x.narrow(axis, self.reach + step, length)
            total.add_(both, alpha=tap)
        return total
