"""Some of a step's crops, and what is done to them; which ones is known without asking the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from geo2map.train.sending import send


class Chosen(NamedTuple):
    """Some of a step's crops.

    Attributes:
        which: their numbers, int64 (chosen,).
        values: what is decided for each of them, float32 (chosen, values).
    """

    which: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_], *columns: npt.NDArray[np.generic]) -> Chosen:
        """Those of a mask (crops,), with the columns' values (crops,) or (crops, values) for them."""
        table = np.concatenate([column.reshape(len(mask), -1) for column in columns], 1)
        which = np.flatnonzero(mask)
        return cls(which, table[which].astype(np.float32))

    def alter(self, pixels: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Overwrites the chosen ones of (crops, ...) by `change(pixels, values)`; (chosen, ...) both."""
        if len(self.which):
            which = send(self.which, pixels.device)
            some = pixels.index_select(0, which)
            pixels.index_copy_(0, which, change(some, send(self.values, pixels.device)))
