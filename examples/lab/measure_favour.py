"""Which classes a model with a legend draws too seldom: favours for `geo2map models calibrate`, of pictures aside.

    python examples/lab/measure_favour.py MODEL HOME PLACES [--list NAMES] [--weight 0.5]

HOME holds pairs of the place where the model is at home, PLACES a folder of pairs for each other place, NAMES which
of them to take. Favours are raised and lowered one at a time, while the mean class IoU of every second picture of HOME,
and `weight` times the mean over places, grow. The other half of HOME says what that is worth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from geo2map.colour.transform import make_rendition
from geo2map.evaluate.scores import certain_of, folded
from geo2map.evaluate.translate import translate_picture
from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.metrics import classify, overlap, overlap_iou
from geo2map.model import ModelCard, find_model, load_card, load_weights
from geo2map.protocols import PixelTranslator
from geo2map.train.pictures import PairFile, list_pairs, list_places

STEPS = (0.4, 0.2, 0.1)
EVERY = 2
"""Pixels are looked at in every second row and column."""
Floats = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """Scores float16 (H, W, colours), true classes (H, W), where each class is known (classes, H, W)."""

    scores: npt.NDArray[np.float16]
    truth: npt.NDArray[np.int64]
    certain: npt.NDArray[np.bool_]


class Listener(PixelTranslator):
    """A translator that keeps the scores and draws nothing."""

    def __init__(self, network: UNetGenerator) -> None:
        self.network, self.scores = network, np.zeros((0, 0, 0), np.float32)

    def translate_pixels(self, batch: npt.NDArray[np.uint8], _: int = 0) -> npt.NDArray[np.uint8]:
        x = torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            found = self.network(x.contiguous(memory_format=torch.channels_last), return_logits=True)
        self.scores = found[0].permute(1, 2, 0).numpy()
        return np.zeros((*batch.shape[:3], 3), np.uint8)


def listen(network: UNetGenerator, card: ModelCard, file: PairFile, scene: bool) -> Sample:
    """Scores of a picture: at home as it is, elsewhere with its colours matched as far as the card says."""
    (image, drawn), palette = file.load(), card.palette
    assert palette is not None
    known, neutral = (file.load_label_mask(), card.neutral) if scene else (None, None)
    listener, margin = Listener(network), card.margin
    rendition, _ = make_rendition(image.reshape(-1, 3), card.colours if scene else None, "auto", matching=card.matching)
    translate_picture(rendition(image), listener, card.size_multiple, margin, neutral)
    inside = listener.scores[margin : margin + image.shape[0], margin : margin + image.shape[1]]
    truth = classify(drawn, palette)
    certain = certain_of(palette, known, np.ones(truth.shape, bool))
    thin = (slice(None, None, EVERY),) * 2
    return Sample(
        inside[thin].astype(np.float16), (folded(truth, palette) if scene else truth)[thin], certain[:, *thin]
    )


def ious(samples: Sequence[Sample], card: ModelCard, favours: Floats, scene: bool) -> Floats:
    """Of each class, pooled; nan where it is nowhere."""
    palette = card.palette
    assert palette is not None
    assert card.legend_classes is not None
    class_of_score = np.array([palette.classes.index(name) for name in card.legend_classes])
    total = np.zeros((len(palette.classes), 2), np.int64)
    for scores, truth, certain in samples:
        drawn = class_of_score[(scores + favours[class_of_score]).argmax(2)]
        total += overlap(truth, folded(drawn, palette) if scene else drawn, certain)
    return overlap_iou(total)


def climb(worth: Callable[[Floats], float], count: int) -> Floats:
    """Favours with the highest worth, one at a time; the first class has none, since only differences count."""
    favours = np.zeros(count)
    best = worth(favours)
    for step in [step for step in STEPS for _ in range(2)]:
        for index in range(1, count):
            for change in (step, -step):
                while True:
                    tried = favours + change * (np.arange(count) == index)
                    if (found := worth(tried)) <= best + 1e-5:
                        break
                    favours, best = tried, found
    return favours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("home", type=Path)
    parser.add_argument("places", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--weight", type=float, default=0.5)
    asked = parser.parse_args()
    path = find_model(asked.model)
    card = load_card(path)
    assert card.palette is not None
    network = build(card.architecture, **card.config)
    network.load_state_dict(load_weights(path))
    network.eval()
    names = set(asked.list.read_text(encoding="utf-8").split()) if asked.list else None
    home = [listen(network, card, file, False) for file in list_pairs(asked.home)]
    places = [
        [listen(network, card, file, True) for file in files if names is None or f"{place}/{file.a.name}" in names]
        for place, files in list_places(asked.places).items()
    ]

    def elsewhere(favours: Floats) -> float:
        return float(np.mean([np.nanmean(ious(samples, card, favours, True)) for samples in places if samples]))

    def worth(favours: Floats) -> float:
        return float(np.nanmean(ious(home[1::2], card, favours, False))) + asked.weight * elsewhere(favours)

    favours = climb(worth, len(card.palette.classes))
    for said, tried in (("without", np.zeros_like(favours)), ("with", favours)):
        halves = [np.nanmean(ious(home[half::2], card, tried, False)) for half in (1, 0)]
        print(f"{said}: chosen on {halves[0]:.4f}, the other half {halves[1]:.4f}, elsewhere {elsewhere(tried):.4f}")
    print("--favour " + ",".join(f"{name}={x:.1f}" for name, x in zip(card.palette.classes, favours, strict=True) if x))


if __name__ == "__main__":
    main()
