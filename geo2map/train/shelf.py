"""Decoded pairs: as many as fit are kept where the network is, the others are decoded whenever they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from geo2map.colour.palette import Palette
from geo2map.errors import DataError
from geo2map.threads import Budget
from geo2map.train.config import TrainConfig
from geo2map.train.pictures import ALL_LABELS, PairFile, Picture

LOADERS = 16
STATISTICS_STRIDE = 4
_MEMORY = 8 * 2**30
"""Bytes of decoded pictures that are kept unless something else is said."""
SIDES, LABELS = slice(0, 6), 6
"""Bands of a decoded pair: three of the input, three of the output; and what is known, where that is not everything."""


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where decoded pairs are kept, and how many.

    Attributes:
        device: the network's.
        memory: bytes of that device's memory for them; the rest is sent step by step.
    """

    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)
    memory: int = _MEMORY

    @classmethod
    def on(cls, device: torch.device, gibibytes: float | None = None) -> Keeping:
        """On a device, so many GiB of pictures; None is 8, but at most half of what CUDA has free."""
        if gibibytes is not None:
            return cls(device=device, memory=int(gibibytes * 2**30))
        if device.type == "cuda":
            return cls(device=device, memory=min(_MEMORY, torch.cuda.mem_get_info(device)[0] // 2))
        return cls(device=device)


class Shelf:
    """The decoded pairs of a run by number. All are read once at the start, so bad data is found early.

    Args:
        files: the run's own pairs, then those of other places.
        own: how many are the run's own.
        config: direction, resize, crop and flatten are used.
        palette: of the map side, None if it has none; used to flatten it.
        keeping: where to keep them.

    Attributes:
        shapes: height and width of each, int64 (pairs, 2).
        labelled: whether only some classes are known of it, bool (pairs,).
        thinned: every fourth pixel of each in rows and columns, uint8 (pixels, 6).

    Raises:
        DataError: a picture that is broken, odd or too small; it is named.
    """

    def __init__(
        self, files: Sequence[PairFile], own: int, config: TrainConfig, palette: Palette | None, keeping: Keeping
    ) -> None:
        self.files, self.own, self.config, self.palette, self.keeping = list(files), own, config, palette, keeping
        self._kept: dict[int, Tensor] = {}
        self.thinned: list[Picture] = []
        shapes, labelled, left = [], [], keeping.memory
        with Budget.make().pool(LOADERS, "load") as pool:
            for index, pixels in enumerate(pool.map(self._read, range(len(self.files)))):
                if left >= pixels.nbytes:
                    left -= pixels.nbytes
                    self._kept[index] = torch.from_numpy(pixels).to(keeping.device)
                self.thinned.append(pixels[::STATISTICS_STRIDE, ::STATISTICS_STRIDE, SIDES].reshape(-1, 6))
                shapes.append(pixels.shape[:2])
                labelled.append(pixels.shape[2] > LABELS)
        self.shapes: npt.NDArray[np.int64] = np.array(shapes)
        self.labelled: npt.NDArray[np.bool_] = np.array(labelled)

    @property
    def kept(self) -> int:
        """How many pairs are kept."""
        return len(self._kept)

    def pixels(self, index: int) -> Tensor:
        """A decoded pair, resized and flattened as configured: uint8 (H, W, 6 or, with labels, 7), on the device if it
        is kept, else in main memory."""
        return self._kept[index] if index in self._kept else torch.from_numpy(self._read(index))

    def _read(self, index: int) -> Picture:
        file, config = self.files[index], self.config
        a, b = file.load()
        labels = None if index < self.own else file.load_label_mask(a.shape[:2])
        if self.palette and config.flatten and config.direction == "a2b":
            b = self.palette.flatten(b, config.flatten)
        if config.resize:
            a, b = (_resized(side, config.resize, Image.Resampling.BICUBIC) for side in (a, b))
            labels = None if labels is None else _resized(labels, config.resize, Image.Resampling.NEAREST)
        if index < self.own and min(a.shape[:2]) < config.crop:
            raise DataError(
                f"{file.a}: {a.shape[1]} x {a.shape[0]} px per side, smaller than crop {config.crop}", option="crop"
            )
        sides = [a, b] if config.direction == "a2b" else [b, a]
        if labels is not None and (labels != ALL_LABELS).any():
            sides.append(labels[..., None])
        return np.concatenate(sides, 2)


def _resized(side: Picture, length: int, kernel: Image.Resampling) -> Picture:
    return np.asarray(Image.fromarray(side).resize((length, length), kernel))
