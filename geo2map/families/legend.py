"""The head of a generator with a legend: class scores in, their mean colour out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_MOST_COLOURS = 32
LEAST = -80.0
"""Exponents end here: what is less counts for nothing beside e^0, and smaller results are slow to compute."""


class Legend(nn.Module):
    """Softmax of a score for each colour, and the mean of the colours by it. Has no weights to train.

    With tanh, a pixel between two classes has a colour between theirs, which may be that of a third one: between land
    and road lies building. With scores it is what it is: a little of both.

    Args:
        colours: of the style, levels 0 to 255, (red, green, blue) each.

    Raises:
        ValueError: colours that cannot be.
    """

    def __init__(self, colours: Sequence[Sequence[int]]) -> None:
        super().__init__()
        # numbers, also where weights are "meta"; no buffer, since half precision would round it
        self.colours = torch.as_tensor(colours, dtype=torch.float64, device="cpu")
        if self.colours.ndim != 2 or self.colours.shape[1] != 3 or not 1 <= len(self.colours) <= _MOST_COLOURS:
            raise ValueError(f"legend and crispen take 1 to {_MOST_COLOURS} colours of three levels")
        self._seen = torch.cat((self.colours.T / 127.5 - 1, self.colours.new_ones(1, len(self.colours))))

    def forward(self, scores: Tensor) -> Tensor:
        """Scores, (N, colours, H, W), to a picture, float (N, 3, H, W) in [-1, 1]."""
        values = scores if scores.dtype == torch.float64 else scores.float()
        values = values.flatten(2).contiguous()  # one plane a colour: everything below goes along planes
        return self.mixed(values).view(len(scores), 3, *scores.shape[2:])

    def mixed(self, scores: Tensor) -> Tensor:
        """Scores, (N, colours, pixels), to colours, (N, 3, pixels)."""
        shares = (scores - scores.amax(1, keepdim=True)).clamp_(min=LEAST).exp_()
        mixed = self._seen.to(scores) @ shares  # the three colours, then the sum of the shares
        return mixed[:, :3] / mixed[:, 3:]
