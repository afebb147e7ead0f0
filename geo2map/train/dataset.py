"""Pairs of pictures, held in memory, and the crops a training step sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from geo2map.errors import DataError
from geo2map.train.augment import augment
from geo2map.train.config import TrainConfig

Picture = npt.NDArray[np.uint8]
PICTURES = frozenset({".jpg", ".jpeg", ".png"})


def list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder, in natural order (2.jpg before 10.jpg).

    Raises:
        DataError: the folder is missing or holds no JPEG or PNG.
    """
    if not folder.is_dir():
        raise DataError(f"pairs in {folder} asked, but there is no such folder")
    found = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in PICTURES),
        key=lambda path: (len(path.stem), path.name),
    )
    if not found:
        raise DataError(f"pairs in {folder} asked, but it holds no .jpg or .png: give a folder of A|B pictures")
    return found


def load_pair(path: Path) -> tuple[Picture, Picture]:
    """Reads a side-by-side A|B picture; two uint8 (H, W, 3).

    Raises:
        DataError: the file is broken or its width is odd.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise DataError(f"{path} is not a readable picture ({error}): remove or replace it") from error
    if pixels.shape[1] % 2:
        raise DataError(f"{path} is {pixels.shape[1]} px wide: A|B side by side need an even width")
    half = pixels.shape[1] // 2
    return pixels[:, :half], pixels[:, half:]


class Pairs:
    """All pairs of a folder in memory; a step's batch is a pure function of (config, step)."""

    def __init__(self, paths: Sequence[Path], config: TrainConfig) -> None:
        self.config = config
        self.pairs = [load_pair(path)[:: 1 if config.direction == "a2b" else -1] for path in paths]
        for path, (a, _) in zip(paths, self.pairs, strict=True):
            if min(a.shape[:2]) < config.crop:
                raise DataError(
                    f"{path} is {a.shape[1]} x {a.shape[0]} px a side, smaller than crop {config.crop}: lower --crop"
                )

    def batch(self, step: int) -> tuple[Picture, Picture]:
        """The pairs of one step, uint8 (batch, crop, crop, 3) twice; every epoch sees each picture once."""
        crops = [self._sample(index) for index in range(step * self.config.batch, (step + 1) * self.config.batch)]
        return np.stack([a for a, _ in crops]), np.stack([b for _, b in crops])

    def _sample(self, index: int) -> tuple[Picture, Picture]:
        epoch, position = divmod(index, len(self.pairs))
        order = np.random.default_rng((self.config.seed, 0, epoch)).permutation(len(self.pairs))
        a, b = self.pairs[order[position]]
        return augment(a, b, self.config, np.random.default_rng((self.config.seed, 1, index)))

    def pixels(self, side: int, stride: int = 4) -> npt.NDArray[np.uint8]:
        """Every stride-th pixel of side 0 (input) or 1 (output) of all pairs, uint8 (pixels, 3)."""
        return np.concatenate([pair[side][::stride, ::stride].reshape(-1, 3) for pair in self.pairs])
