"""What every generator is, whatever its family."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

from torch import Tensor, nn


class Generator(nn.Module):
    """Translates float (N, in_channels, H, W) in [-1, 1] to (N, 3, H, W) in [-1, 1].

    Attributes:
        in_channels: bands of the input.
        head: turns the last convolution's output into a picture.
    """

    in_channels: int
    head: nn.Module

    @abstractmethod
    def forward(self, x: Tensor, return_logits: bool = False) -> Tensor:
        """Translates pictures whose sides are multiples of `size_multiple`.

        Args:
            return_logits: return what `head` takes, as losses of classes need it.
        """

    @property
    @abstractmethod
    def size_multiple(self) -> int:
        """Blocks must start and end on multiples of this many pixels of one global grid."""

    @property
    @abstractmethod
    def margin(self) -> int:
        """Pixels of context that make an aligned block's output exact, a multiple of `size_multiple`."""

    def fold(self) -> Self:
        """Turns what only training needs into plain layers, in place."""
        return self


def initialise(module: nn.Module) -> None:
    """The paper's initialisation: convolutions N(0, 0.02), batch-norm scale N(1, 0.02), biases 0.

    Not where there are only shapes ("meta"): torch would load its compiler to draw numbers that nobody sees, which
    takes 1.5 s and 70 MiB.
    """
    if any(parameter.is_meta for parameter in module.parameters(recurse=False)):
        return
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
