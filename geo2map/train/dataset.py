"""Pairs of pictures as a training step sees them: a batch is a pure function of configuration and step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from geo2map.colour.palette import MAPS_PALETTE, Palette
from geo2map.errors import DataError
from geo2map.train.augment import augment
from geo2map.train.config import TrainConfig
from geo2map.train.pictures import PairFile, Picture
from geo2map.types import Direction

MEMORY = 8 * 2**30
"""Bytes of decoded pictures that are kept; the others are decoded again whenever they are needed."""
STATISTICS_STRIDE = 4
RECOGNISED = 0.7
"""Share of pixels near a palette colour from which a map is taken to be drawn in that palette."""


class Pairs:
    """The pairs of a run. All are read once at the start, so bad data is found before an hour has passed.

    Args:
        files: see `geo2map.train.pictures.list_pairs`.
        config: direction, resize, crop, flatten and the augmentation are used.
        palette: of the map side, None if it has none; used to flatten it.
        memory: bytes of decoded pictures to keep.

    Attributes:
        input_pixels, output_pixels: every fourth pixel of all pictures in rows and columns, uint8 (pixels, 3).

    Raises:
        DataError: a picture that is broken, odd or too small; it is named.
    """

    def __init__(
        self, files: Sequence[PairFile], config: TrainConfig, palette: Palette | None = None, memory: int = MEMORY
    ) -> None:
        self.files, self.config, self.palette = list(files), config, palette
        self._kept: dict[int, tuple[Picture, Picture]] = {}
        samples: list[tuple[Picture, Picture]] = []
        with ThreadPoolExecutor() as pool:
            for index, pair in enumerate(pool.map(self._load, self.files)):
                if memory >= 2 * pair[0].nbytes:
                    memory -= 2 * pair[0].nbytes
                    self._kept[index] = pair
                samples.append((_thinned(pair[0]), _thinned(pair[1])))
        self.input_pixels, self.output_pixels = (np.concatenate([s[side] for s in samples]) for side in (0, 1))

    @property
    def size(self) -> int:
        """Px a side of the first picture as it is on disk (the shorter side)."""
        return min(self.files[0].load()[0].shape[:2])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Picture, Picture]:
        """Input and output of one pair, uint8 (H, W, 3) each, resized and flattened as configured."""
        return self._kept[index] if index in self._kept else self._load(self.files[index])

    def _load(self, file: PairFile) -> tuple[Picture, Picture]:
        config = self.config
        a, b = file.load()
        if self.palette and config.flatten and config.direction == "a2b":
            b = self.palette.flatten(b, config.flatten)
        if config.resize:
            a, b = (_resized(side, config.resize) for side in (a, b))
        if min(a.shape[:2]) < config.crop:
            raise DataError(
                f"{file.a} is {a.shape[1]} x {a.shape[0]} px a side, smaller than crop {config.crop}: lower --crop"
            )
        return (a, b) if config.direction == "a2b" else (b, a)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> tuple[Picture, Picture]:
        """One process's pairs of one step, uint8 (batch, crop, crop, 3) twice; every epoch sees each picture once."""
        first = (step * world + rank) * self.config.batch
        crops = [self._sample(index) for index in range(first, first + self.config.batch)]
        return np.stack([a for a, _ in crops]), np.stack([b for _, b in crops])

    def _sample(self, index: int) -> tuple[Picture, Picture]:
        epoch, position = divmod(index, len(self))
        order = np.random.default_rng((self.config.seed, 0, epoch)).permutation(len(self))
        a, b = self[int(order[position])]
        return augment(a, b, self.config, np.random.default_rng((self.config.seed, 1, index)))


def _thinned(picture: Picture) -> Picture:
    return picture[::STATISTICS_STRIDE, ::STATISTICS_STRIDE].reshape(-1, 3)


def _resized(picture: Picture, side: int) -> Picture:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def recognise_palette(files: Sequence[PairFile], direction: Direction) -> Palette | None:
    """The style of the `maps` pictures if the map side of some pairs is drawn in it, else None."""
    side = 1 if direction == "a2b" else 0
    chosen = files[:: max(1, len(files) // 16)]
    pixels = np.concatenate([_thinned(file.load()[side]) for file in chosen])
    return MAPS_PALETTE if MAPS_PALETTE.share(pixels) > RECOGNISED else None
