"""A teacher's output for every picture: computed once, before the training, from the clean imagery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from geo2map.errors import DataError
from geo2map.families import build
from geo2map.families.generator import Generator
from geo2map.files.atomic import whole_file
from geo2map.model import load_card, load_weights
from geo2map.train.augment import noisy
from geo2map.train.pictures import PairFile, Picture

CONTEXT = 16
"""Pixels of reflection around a picture, at least; only its rim depends on them."""


def distill(
    files: Sequence[PairFile], model: Path, folder: Path, device: torch.device, on_picture: Callable[[int, int], None]
) -> None:
    """Writes the model's output for the A side of every pair to `folder`; existing files are kept.

    Args:
        files: pairs whose A side the model translates.
        model: the teacher's file.
        folder: of one .npy a picture, named after it.
        device: to run on.
        on_picture: called with pictures done and pictures in all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if not _path(folder, file).is_file()]
    if not missing:
        return
    card = load_card(model)
    network = build(card.architecture, **card.config)
    network.load_state_dict(load_weights(model))
    network = network.eval().to(device)
    for number, file in enumerate(missing):
        with whole_file(_path(folder, file)) as written:
            np.save(written, _translated(network, file.load()[0], card.size_multiple, device))
        on_picture(number + 1, len(missing))


def load_teacher_output(folder: Path, file: PairFile) -> Picture:
    """A teacher's output, uint8 (H, W, 3), mapped from disk.

    Raises:
        DataError: it is not there.
    """
    try:
        teacher_output: Picture = np.load(_path(folder, file), mmap_mode="r")
        return teacher_output
    except (OSError, ValueError) as error:
        raise DataError(f"{_path(folder, file)} of the teacher cannot be read ({error}): remove that folder") from error


def _path(folder: Path, file: PairFile) -> Path:
    return folder / f"{file.a.stem}.npy"


def _translated(network: Generator, a: Picture, multiple: int, device: torch.device) -> Picture:
    frame = []
    for side in a.shape[:2]:
        whole = -(-(side + 2 * CONTEXT) // multiple) * multiple
        frame.append(((whole - side) // 2, whole - side - (whole - side) // 2))
    padded = noisy(np.pad(a, [*frame, (0, 0)], mode="reflect"), network.in_channels - 3)
    tensor = torch.from_numpy(padded).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    with torch.inference_mode():
        fake = network(tensor.contiguous(memory_format=torch.channels_last))[0]
    picture: Picture = ((fake + 1.0) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    (top, _), (left, _) = frame
    return picture[top : top + a.shape[0], left : left + a.shape[1]]
