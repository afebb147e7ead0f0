"""Random crops, flips, rotations, scale, light and rims: what makes one city's pictures stand for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geo2map.grid import PixelWindow, add_noise
from geo2map.train.chosen import Chosen
from geo2map.train.config import TrainConfig
from geo2map.train.filling import fill_crops
from geo2map.train.footprint import cut_footprints
from geo2map.train.noise_bands import noise_bands
from geo2map.train.pictures import ALL_LABELS, Picture
from geo2map.train.positions import Boxes, Steps, find_steps, nearest_offsets
from geo2map.train.resample import resample, resampling_weights
from geo2map.train.sending import send
from geo2map.train.sensors import Sensors, apply_curves, apply_sensors
from geo2map.train.shelf import LABELS, SIDES

NOISE_ZOOM = 20
HAS_TEACHER, SEEN = 16, 32
"""Bits of `Crops.known`: a teacher's output is at hand; there is imagery."""
INPUT, OUTPUT, TEACHER = slice(0, 3), slice(3, 6), slice(6, 9)
"""Bands of a cut-out; the last one, whatever its number, holds what is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """All that is decided of a step's crops, in main memory; `make_crops` does the work on the device.

    Attributes:
        cutouts: the part of each picture that its crop needs, uint8 (h, w, 6 or, with labels, 7), where it is kept.
        teacher: the same of a teacher's output, uint8 (h, w, 3); None where there is none.
        boxes: where they lie in the crops.
        labelled: crops of which only some classes are known, bool (crops,).
        sensors: what becomes of the light.
        holes: the crops that get a footprint, see `geo2map.train.footprint`.
        noise: left and top of the crops' noise in the world at `NOISE_ZOOM`, int64 (2, crops).
        neutral: colour of no data.
    """

    cutouts: list[Tensor]
    teacher: list[Tensor | None]
    boxes: Boxes
    labelled: npt.NDArray[np.bool_]
    sensors: Sensors
    holes: Chosen
    noise: npt.NDArray[np.int64]
    neutral: tuple[int, int, int]


class Crops(NamedTuple):
    """The crops of a step, on the device; pictures are uint8 with a leading dimension for the crops.

    Attributes:
        a, b: input and output, (N, crop, crop, 3); the input has its bands of noise after that.
        known: `LABEL_BITS`, `HAS_TEACHER` and `SEEN`, (N, crop, crop); 0 where there is no imagery.
        teacher_output: the teacher's output, (N, crop, crop, 3); anything where there is none, None if nowhere.
        partly, wholly: numbers of the crops of which only some classes are known, and of the others, int64.
    """

    a: Tensor
    b: Tensor
    known: Tensor
    teacher_output: Tensor | None
    partly: Tensor
    wholly: Tensor


def make_crops(draft: Draft, config: TrainConfig, device: torch.device) -> Crops:
    """Cuts the crops of a step: the same geometry for all sides, the light of the input alone.

    What a picture does not cover, or a random footprint cuts off, is filled as a scene is filled when it is
    translated, and nothing is learned there. Nothing here waits for the device.

    Args:
        draft: of the step.
        config: crop and noise are used.
        device: the network's; of the cut-outs that are kept, too.
    """
    stack, boxes = _stack(draft, device), draft.boxes
    steps = find_steps(boxes, nearest_offsets(boxes, config.crop), stack.shape[1])
    crops = _gather(stack, steps)
    pictures = crops[..., :-1]
    _rescale(pictures, stack, boxes)
    known = _known(crops[..., -1], steps, draft)
    a = apply_curves(pictures[..., INPUT], send(draft.sensors.curves, device))
    apply_sensors(a, draft.sensors)
    draft.holes.alter(known, lambda some, footprints: some * cut_footprints(footprints, config.crop))
    _fill(a, known, np.union1d(np.flatnonzero(steps.cut_off), draft.holes.which), draft.neutral)
    if config.noise:
        left, top = send(draft.noise, device)
        a = torch.cat((a, noise_bands(left, top, config.crop, NOISE_ZOOM, config.noise)), 3)
    return Crops(
        a,
        pictures[..., OUTPUT],
        known,
        pictures[..., TEACHER] if pictures.shape[3] > OUTPUT.stop else None,
        partly=send(np.flatnonzero(draft.labelled), device),
        wholly=send(np.flatnonzero(~draft.labelled), device),
    )


def _stack(draft: Draft, device: torch.device) -> Tensor:
    """All cut-outs, each in the corner of a square of its own, uint8 (N, room, room, 7 or, with a teacher, 10)."""
    shapes = [cutout.shape for cutout in draft.cutouts]
    room, bands = max(max(shape[:2]) for shape in shapes), 6 if all(part is None for part in draft.teacher) else 9
    stack = torch.empty((len(shapes), room, room, bands + 1), dtype=torch.uint8, device=device)
    for own, cutout, taught in zip(stack, draft.cutouts, draft.teacher, strict=True):
        place, pixels = own[: cutout.shape[0], : cutout.shape[1]], send(cutout, device)
        place[..., SIDES] = pixels[..., SIDES]
        if cutout.shape[2] > LABELS:
            place[..., -1] = pixels[..., LABELS]
        if taught is not None:
            place[..., TEACHER] = send(taught, device)
    return stack


def _gather(stack: Tensor, steps: Steps) -> Tensor:
    """The pixels at these steps, (crops, side, side, bands)."""
    first, second = send(steps.first, stack.device), send(steps.second, stack.device)
    index = first[:, :, None] + second[:, None]
    return stack.view(-1, stack.shape[3]).index_select(0, index.flatten()).view(*index.shape, -1)


def _rescale(pictures: Tensor, stack: Tensor, boxes: Boxes) -> None:
    """Overwrites the crops whose box has another side by what resampling it makes."""
    crop, scaled = pictures.shape[1], np.flatnonzero(boxes.side != pictures.shape[1])
    if not len(scaled):
        return
    given = boxes.side[scaled]
    scales = float(given.min()) / crop, float(given.max()) / crop
    offsets = np.minimum(np.arange(given.max()), boxes.side[:, None] - 1)
    steps = find_steps(boxes, offsets, stack.shape[1]).of(scaled)
    sides = send(given.astype(np.float32), stack.device)
    weights = resampling_weights(
        sides, torch.full_like(sides, crop), (crop, int(given.max())), torch.ones_like(sides, dtype=torch.bool)
    )
    pictures.index_copy_(0, send(scaled, stack.device), resample(_gather(stack, steps)[..., :-1], weights, scales))


def _known(labels: Tensor, steps: Steps, draft: Draft) -> Tensor:
    """`Crops.known` of pictures without holes."""
    device = labels.device
    taught = np.array([SEEN if part is None else SEEN | HAS_TEACHER for part in draft.teacher], np.uint8)
    known = torch.where(send(draft.labelled, device)[:, None, None], labels, ALL_LABELS)
    inside = send(steps.first_inside, device)[:, :, None] & send(steps.second_inside, device)[:, None]
    return (known | send(taught, device)[:, None, None]) * inside


def _fill(a: Tensor, known: Tensor, which: npt.NDArray[np.int64], neutral: tuple[int, int, int]) -> None:
    """Overwrites what is not seen of these crops by the fill."""
    if len(which):
        chosen = send(which, a.device)
        seen = (known.index_select(0, chosen) & SEEN) != 0
        a.index_copy_(0, chosen, fill_crops(a.index_select(0, chosen), seen, neutral))


def noisy(a: Picture, bands: int, left: int = 0, top: int = 0) -> Picture:
    """A picture with its bands of noise, as if it lay there in the world at `NOISE_ZOOM`."""
    return add_noise(a, PixelWindow(left, top, left + a.shape[1], top + a.shape[0]), NOISE_ZOOM, bands)
