"""Where a step's crops lie in their pictures, turned and mirrored, as indices into a stack of cut-outs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.train.config import TrainConfig

_Whole = npt.NDArray[np.int64]


class Boxes(NamedTuple):
    """Squares of pictures, one a crop; each array int64 (crops,).

    Attributes:
        height, width: of the picture.
        left, top: where the square begins; below 0 where it reaches beyond the picture.
        side: of the square in pixels, which becomes the crop's.
        turns: quarter turns, counter-clockwise.
        mirrored: 1 if left and right are exchanged after that.
    """

    height: _Whole
    width: _Whole
    left: _Whole
    top: _Whole
    side: _Whole
    turns: _Whole
    mirrored: _Whole

    @property
    def rows(self) -> tuple[_Whole, _Whole]:
        """The picture's rows that the square covers: first and past."""
        return np.maximum(0, self.top), np.minimum(self.height, self.top + self.side)

    @property
    def columns(self) -> tuple[_Whole, _Whole]:
        """The picture's columns that the square covers: first and past."""
        return np.maximum(0, self.left), np.minimum(self.width, self.left + self.side)


def draw_boxes(shapes: _Whole, config: TrainConfig, rng: np.random.Generator) -> Boxes:
    """A random square of each picture. A picture smaller than the crop lies somewhere in it.

    Args:
        shapes: height and width of each picture, (crops, 2).
        config: crop, rotate and scale_jitter are used.
        rng: the only source of randomness.
    """
    count, shortest = len(shapes), shapes.min(1)
    factor = np.exp(rng.uniform(-1, 1, count) * np.log(config.scale_jitter) * (rng.random(count) < 0.5))
    side = np.rint(config.crop * factor).astype(np.int64)
    side = np.where(shortest >= config.crop, np.minimum(side, shortest), side)
    spare = shapes - side[:, None]
    top, left = rng.integers(np.minimum(0, spare), np.maximum(0, spare) + 1).T
    turns, mirrored = rng.integers(4, size=count) * config.rotate, rng.integers(2, size=count)
    return Boxes(shapes[:, 0], shapes[:, 1], left, top, side, turns, mirrored)


class Steps(NamedTuple):
    """Where the pixels of crops are in a stack of cut-outs: at `first` of their row plus `second` of their column.

    Attributes:
        first, second: parts of an index, int64 (crops, side).
        first_inside, second_inside: whether there is a picture, bool (crops, side); beyond it, its border continues.
    """

    first: _Whole
    second: _Whole
    first_inside: npt.NDArray[np.bool_]
    second_inside: npt.NDArray[np.bool_]

    def of(self, which: npt.NDArray[np.int64]) -> Steps:
        """Those of some crops."""
        return Steps(self.first[which], self.second[which], self.first_inside[which], self.second_inside[which])

    @property
    def cut_off(self) -> npt.NDArray[np.bool_]:
        """Crops that reach beyond their picture, bool (crops,)."""
        return np.asarray(~(self.first_inside.all(1) & self.second_inside.all(1)))


def find_steps(boxes: Boxes, offsets: _Whole, room: int) -> Steps:
    """Where pixels of crops are in cut-outs, each of which lies in the corner of a square of `room` pixels a side.

    Args:
        offsets: pixels from the box's edge, as the crop is turned, int64 (crops, side).
        room: side of what holds a cut-out.
    """
    (top, bottom), (left, right) = boxes.rows, boxes.columns
    last = boxes.side[:, None] - 1
    along = np.where(boxes.mirrored[:, None] > 0, last - offsets, offsets)
    first = np.where(np.isin(boxes.turns, (1, 2))[:, None], last - offsets, offsets)
    second = np.where(np.isin(boxes.turns, (2, 3))[:, None], last - along, along)
    turned = boxes.turns % 2 == 1
    down = (top - boxes.top, bottom - top, np.full_like(top, room))
    across = (left - boxes.left, right - left, np.ones_like(top))
    parts, inside = [], []
    for steps, axes in ((first, (down, across)), (second, (across, down))):
        start, length, stride = (np.where(turned, b, a)[:, None] for a, b in zip(*axes, strict=True))
        place = steps - start
        inside.append((place >= 0) & (place < length))
        parts.append(np.clip(place, 0, length - 1) * stride)
    parts[0] += room * room * np.arange(len(top))[:, None]
    return Steps(*parts, *inside)


def nearest_offsets(boxes: Boxes, crop: int) -> _Whole:
    """The box's pixel that is nearest to each pixel of the crop, along an axis; int64 (crops, crop)."""
    return ((np.arange(crop) + 0.5) * boxes.side[:, None] / crop).astype(np.int64)
