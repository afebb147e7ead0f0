"""A generator ready to translate, as the engine calls it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

Step = Callable[[Tensor], Tensor]


class Runner(nn.Module):
    """A generator in evaluation mode that drops margins itself.

    Attributes:
        fixed_calls: whether a CPU must always give it the same number of pictures at once, since the order of its
            sums depends on that number.
    """

    fixed_calls = False

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        margin: int = 0,
        before: Step | None = None,
        after: Step | None = None,
        beside: Step | None = None,
    ) -> Tensor:
        """Translates (N, in_channels, H, W) to (N, 3, H - 2 margin, W - 2 margin).

        Args:
            x: in [-1, 1], or whatever `before` turns into that.
            margin: pixels around that are context only.
            before: applied to the input, or to parts of it.
            after: applied to the output, or to parts of it.
            beside: applied to what the head takes, or to parts of it, after the head; may overwrite that. Its bands
                follow those of the output, which do not change.
        """


class WholeRunner(Runner):
    """Runs any module on whole pictures, and cuts the margin off the result."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator.eval().requires_grad_(False)

    def forward(
        self,
        x: Tensor,
        margin: int = 0,
        before: Step | None = None,
        after: Step | None = None,
        beside: Step | None = None,
    ) -> Tensor:
        x = before(x) if before else x
        values: Tensor = self.generator(x)
        values = after(values) if after else values
        if beside:  # the network once more, since only the generator knows what follows its head
            values = torch.cat((values, beside(self.generator(x, return_logits=True))), 1)
        height, width = values.shape[2:]
        return values[:, :, margin : height - margin, margin : width - margin]
