"""Pairs of pictures as a training step sees them: a batch is a pure function of configuration and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geo2map.colour import ColourStatistics
from geo2map.colour.palette import MAPS_PALETTE, Palette
from geo2map.colour.statistics import HALFWAY
from geo2map.grid import TILE_SIZE
from geo2map.train.augment import INPUT, NOISE_ZOOM, OUTPUT, Crops, Draft, make_crops
from geo2map.train.chosen import Chosen
from geo2map.train.config import TrainConfig
from geo2map.train.footprint import draw_footprints
from geo2map.train.pictures import PairFile, Picture
from geo2map.train.places import Places
from geo2map.train.positions import Boxes, draw_boxes
from geo2map.train.sensors import Curves, chain_curves, draw_sensors
from geo2map.train.shelf import STATISTICS_STRIDE, Keeping, Shelf
from geo2map.train.teacher import load_teacher_output
from geo2map.types import Direction

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
        keeping: where decoded pairs are kept, and how many.

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
        keeping: Keeping | None = None,
    ) -> None:
        self.sources = sources if isinstance(sources, Sources) else Sources(sources)
        self.files, self.config, self.palette = list(self.sources.files), config, palette
        self.keeping, others = keeping or Keeping(), self.sources.other_places
        files = [*self.files, *(file for place in others.values() for file in place)]
        self._shelf = Shelf(files, len(self.files), config, palette, self.keeping)
        thinned, self._shelf.thinned = self._shelf.thinned, []
        own, abroad = thinned[: len(self)], iter(thinned[len(self) :])
        self.input_pixels, self.output_pixels = (
            np.concatenate([part[:, side] for part in own]) for side in (INPUT, OUTPUT)
        )
        self.colours = ColourStatistics.of(self.input_pixels)
        samples = {place: [next(abroad)[:, INPUT] for _ in files] for place, files in others.items()}
        self.places = Places(samples, self.colours) if samples else None
        self._rematched = self._rematches(own) if config.rematch else None

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

    def __getitem__(self, index: int) -> tuple[Picture, Picture]:
        """Input and output of one of the own pairs, resized and flattened as configured; uint8 (H, W, 3) each."""
        pixels: Picture = self._shelf.pixels(index).cpu().numpy()
        return pixels[..., INPUT], pixels[..., OUTPUT]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Crops:
        """One process's crops of one step; every epoch sees each picture once, but for those that make way for other
        places. May be called from another thread."""
        return make_crops(self.draft(step, rank, world), self.config, self.keeping.device)

    def draft(self, step: int, rank: int = 0, world: int = 1) -> Draft:
        """What one process's crops of one step will be."""
        config, count = self.config, self.config.batch
        rise = config.ramped(step / config.total_steps(len(self), world))
        rng = np.random.default_rng((config.seed, 1, step, rank))
        which, curves = self._choose((step * world + rank) * count + np.arange(count), rng)
        boxes = draw_boxes(self._shelf.shapes[which], config, rng)
        sensors = draw_sensors(count, config.photometric * rise, rng)
        return Draft(
            cutouts=[self._shelf.pixels(index)[part] for index, part in zip(which, _parts(boxes), strict=True)],
            teacher=[self._taught(index, part) for index, part in zip(which, _parts(boxes), strict=True)],
            boxes=boxes,
            labelled=self._shelf.labelled[which],
            sensors=replace(sensors, curves=chain_curves(curves, sensors.curves)),
            holes=Chosen.of(rng.random(count) < config.holes * rise, draw_footprints(count, rng)),
            noise=rng.integers((TILE_SIZE << NOISE_ZOOM) - config.crop, size=(2, count)),
            neutral=self.colours.neutral(config.direction),
        )

    def _choose(self, indices: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Curves]:
        """The pairs with these places in the order of all epochs, some of them replaced by pairs of other places; and
        the curves by which their colours are matched."""
        epochs, positions = np.divmod(indices, len(self))
        orders = {epoch: self._order(epoch) for epoch in set(epochs.tolist())}
        which = np.array([orders[epoch][position] for epoch, position in zip(epochs.tolist(), positions, strict=True)])
        curves = np.tile(np.arange(256, dtype=np.uint8), (len(which), 3, 1))
        if self._rematched is not None:
            matched = rng.random(len(which)) < self.config.rematch
            curves = np.where(matched[:, None, None], self._rematched[which], curves)
        if self.places:
            away = rng.random(len(which)) < self.config.elsewhere
            pairs, matches = self.places.draw(len(which), rng)
            which = np.where(away, len(self) + pairs, which)
            curves = np.where(away[:, None, None], matches, curves)
        return which, curves

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self.config.seed, 0, epoch)).permutation(len(self))

    def _rematches(self, own: Sequence[Picture]) -> Curves:
        """The curve from each own picture's colours to those of all, uint8 (pairs, 3, 256)."""
        single = [ColourStatistics.of(part[:, INPUT]) for part in own]
        return np.stack([colours.curve_to(self.colours, self.matching) for colours in single])

    def _taught(self, index: int, part: tuple[slice, slice]) -> Tensor | None:
        folder = self.sources.teacher_output
        if folder is None or index >= len(self):
            return None
        return torch.from_numpy(np.array(load_teacher_output(folder, self.files[index])[part]))


def _parts(boxes: Boxes) -> list[tuple[slice, slice]]:
    """The part of each picture that its box covers."""
    edges = zip(*boxes.rows, *boxes.columns, strict=True)
    return [(slice(top, bottom), slice(left, right)) for top, bottom, left, right in edges]


def _thinned(picture: Picture) -> Picture:
    return picture[::STATISTICS_STRIDE, ::STATISTICS_STRIDE].reshape(-1, 3)


def recognise_palette(files: Sequence[PairFile], direction: Direction) -> Palette | None:
    """The style of the `maps` pictures if the map side of some pairs is drawn in it, else None."""
    side = 1 if direction == "a2b" else 0
    chosen = files[:: max(1, len(files) // 16)]
    pixels = np.concatenate([_thinned(file.load()[side]) for file in chosen])
    return MAPS_PALETTE if MAPS_PALETTE.share(pixels) > RECOGNISED else None
