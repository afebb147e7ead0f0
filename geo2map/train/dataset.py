"""Pairs of pictures as a training step sees them: a batch is a pure function of configuration and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from geo2map.colour import ColourStatistics
from geo2map.colour.palette import MAPS_PALETTE, Palette
from geo2map.colour.statistics import HALFWAY
from geo2map.errors import DataError
from geo2map.threads import Budget
from geo2map.train.augment import Crops, Look, Pair, augment, stack_crops
from geo2map.train.config import TrainConfig
from geo2map.train.pictures import PairFile, Picture
from geo2map.train.places import Places
from geo2map.train.teacher import load_teacher_output
from geo2map.types import Direction

LOADERS = 16
_MEMORY = 8 * 2**30
"""Bytes of decoded pictures that are kept; the others are decoded again whenever they are needed."""
STATISTICS_STRIDE = 4
RECOGNISED = 0.7
"""Share of pixels near a palette colour from which a map is taken to be drawn in that palette."""


@dataclass(frozen=True)
class Sources:
    """The sources of a run's pairs.

    Attributes:
        files: the run's own, see `geo2map.train.pictures.list_pairs`.
        other_places: pairs of other places by place; their colours are not the card's.
        teacher_output: folder of a teacher's outputs for `files`, see `geo2map.train.teacher`.
    """

    files: Sequence[PairFile]
    other_places: Mapping[str, Sequence[PairFile]] = field(default_factory=dict)
    teacher_output: Path | None = None


class Pairs:
    """The pairs of a run. All are read once at the start, so bad data is found before an hour has passed.

    Args:
        sources: the files, or more.
        config: direction, resize, crop, flatten and the augmentation are used.
        palette: of the map side, None if it has none; used to flatten it.
        memory: bytes of decoded pictures to keep.

    Attributes:
        input_pixels, output_pixels: every fourth pixel of all own pictures in rows and columns, uint8 (pixels, 3).
        colours: statistics of the own input.
        places: the other places' pairs.

    Raises:
        DataError: a picture that is broken, odd or too small; it is named.
    """

    def __init__(
        self,
        sources: Sequence[PairFile] | Sources,
        config: TrainConfig,
        palette: Palette | None = None,
        memory: int = _MEMORY,
    ) -> None:
        self.sources = sources if isinstance(sources, Sources) else Sources(sources)
        self.files, self.config, self.palette = list(self.sources.files), config, palette
        self._kept: dict[int, Pair] = {}
        samples: list[tuple[Picture, Picture]] = []
        with Budget.make().pool(LOADERS, "load") as pool:
            for index, (a, b) in enumerate(pool.map(self._load, self.files)):
                if memory >= 2 * a.nbytes:
                    memory -= 2 * a.nbytes
                    self._kept[index] = Pair(a, b)
                samples.append((_thinned(a), _thinned(b)))
        self.input_pixels, self.output_pixels = (np.concatenate([s[side] for s in samples]) for side in (0, 1))
        self.colours = ColourStatistics.of(self.input_pixels)
        loaded = {place: [self._load_abroad(f) for f in files] for place, files in self.sources.other_places.items()}
        self.places = Places(loaded, self.colours) if loaded else None

    @property
    def size(self) -> int:
        """Px a side of the first picture as it is on disk (the shorter side)."""
        return min(self.files[0].load()[0].shape[:2])

    @property
    def matching(self) -> float:
        """How far colours are matched, here and by who renders with the model: one place's sensor is all it knows."""
        return HALFWAY if self.places else 1.0

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pair:
        """One of the own pairs, resized and flattened as configured."""
        pair = self._kept[index] if index in self._kept else Pair(*self._load(self.files[index]))
        if self.sources.teacher_output is None:
            return pair
        return replace(pair, teacher_output=load_teacher_output(self.sources.teacher_output, self.files[index]))

    def _load(self, file: PairFile) -> tuple[Picture, Picture]:
        a, b = self._sides(file)
        if min(a.shape[:2]) < self.config.crop:
            raise DataError(
                f"{file.a}: {a.shape[1]} x {a.shape[0]} px per side, smaller than crop {self.config.crop}",
                option="crop",
            )
        return a, b

    def _load_abroad(self, file: PairFile) -> Pair:
        return Pair(*self._sides(file), known=file.load_label_mask())

    def _sides(self, file: PairFile) -> tuple[Picture, Picture]:
        config = self.config
        a, b = file.load()
        if self.palette and config.flatten and config.direction == "a2b":
            b = self.palette.flatten(b, config.flatten)
        if config.resize:
            a, b = (_resized(side, config.resize) for side in (a, b))
        return (a, b) if config.direction == "a2b" else (b, a)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Crops:
        """One process's crops of one step; every epoch sees each picture once, but for those that make way for other
        places."""
        first = (step * world + rank) * self.config.batch
        rise = self.config.ramped(step / self.config.total_steps(len(self), world))
        look = Look(
            self.config.photometric * rise, self.config.holes * rise, self.colours.neutral(self.config.direction)
        )
        return stack_crops([self._sample(index, look) for index in range(first, first + self.config.batch)])

    def _sample(self, index: int, look: Look) -> Crops:
        rng = np.random.default_rng((self.config.seed, 1, index))
        if self.places and rng.random() < self.config.elsewhere:
            return augment(self.places.draw(rng), self.config, look, rng)
        epoch, position = divmod(index, len(self))
        order = np.random.default_rng((self.config.seed, 0, epoch)).permutation(len(self))
        pair = self[int(order[position])]
        if self.config.rematch and rng.random() < self.config.rematch:
            own = ColourStatistics.of(_thinned(pair.a))
            pair = replace(pair, matches=(own.curve_to(self.colours, self.matching),))
        return augment(pair, self.config, look, rng)


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
