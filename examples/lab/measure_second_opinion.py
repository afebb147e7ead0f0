"""Is a second look worth a pass? The confidence of the scores against that of a picture seen twice.

    python examples/lab/measure_second_opinion.py MODEL HOME [--list NAMES] [--places DIR] [--every N]

Each second opinion translates the picture again: moved by (5, 11) px, which is no multiple of the network's steps;
mirrored; or in other light (gamma 0.85 and 1.15). Where it draws another class, its confidence counts against the
first's. Prints the area under the risk-coverage curve (less is better) by set, of the confidence alone, with each
opinion, with all of them, and of local contrast as the control.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from geo2map.api.calibrating import scoring_config
from geo2map.engine import Engine, load_engine
from geo2map.evaluate import EvaluateConfig
from geo2map.evaluate.scores import certain_of, folded
from geo2map.evaluate.translate import as_scene, translate_scored
from geo2map.metrics import classify
from geo2map.metrics.reliability import Reliability, plainness
from geo2map.train.pictures import PairFile, list_places, list_splits
from geo2map.types import Image

MOVED = (5, 11)


def gamma(power: float) -> Callable[[Image], Image]:
    """Other light."""
    return lambda image: ((image / 255.0) ** power * 255).round().astype(np.uint8)


def move(image: Image) -> Image:
    """The picture with its reflection above and to the left."""
    return np.pad(image, ((MOVED[0], 0), (MOVED[1], 0), (0, 0)), mode="reflect")


OPINIONS: dict[str, tuple[Callable[[Image], Image], Callable[[Image], Image]]] = {
    "moved": (move, lambda drawn: drawn[MOVED[0] :, MOVED[1] :]),
    "mirrored": (lambda image: image[:, ::-1], lambda drawn: drawn[:, ::-1]),
    "upside down": (lambda image: image[::-1], lambda drawn: drawn[::-1]),
    "darker": (gamma(1.15), lambda drawn: drawn),
    "brighter": (gamma(0.85), lambda drawn: drawn),
}
"""What is done to the picture, and how to undo that to what is drawn."""


def measure(file: PairFile, engine: Engine, config: EvaluateConfig, abroad: bool) -> dict[str, Reliability]:
    """The reliability of each way to be confident."""
    (image, truth), palette, known = file.load(), config.palette, file.load_label_mask()
    assert palette is not None
    control = plainness(image)
    neutral = engine.card.neutral if abroad else None
    image, drawer = as_scene(image, engine, config) if abroad else (image, engine)

    def look(shown: Image) -> tuple[Image, Image]:
        found = translate_scored(shown, drawer, config.size_multiple, config.margin, neutral)
        return classify(found.pixels[0], palette), found.planes[0, 0].astype(float)

    drawn, first = look(image)
    votes = {}
    for name, (change, undo) in OPINIONS.items():
        classes, percent = map(undo, look(np.ascontiguousarray(change(image))))
        votes[name] = np.where(classes == drawn, percent, 100 - percent)
    ways = {"alone": first} | {name: (first + vote) / 2 for name, vote in votes.items()}
    ways["all"] = np.mean([first, *votes.values()], axis=0)
    both = classify(truth, palette), drawn
    if known is not None:
        both = folded(both[0], palette), folded(both[1], palette)
    certain = certain_of(palette, known, np.ones(truth.shape[:2], bool))
    return {name: Reliability.of(way.round().astype(np.uint8), control, both, certain) for name, way in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("home", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--places", type=Path)
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    engine = load_engine(asked.model)
    config = scoring_config(engine.card)
    files, aside = list_splits(asked.home, asked.list)
    sets = {"": aside if asked.list else files} | (list_places(asked.places) if asked.places else {})
    print("| | alone | " + " | ".join([*OPINIONS, "all", "by contrast"]) + " |")
    print("|---" * (len(OPINIONS) + 4) + "|", flush=True)
    for place, some in sets.items():
        total: dict[str, Reliability] = {}
        for file in some[:: asked.every]:
            for name, one in measure(file, engine, config, bool(place)).items():
                total[name] = total[name] + one if name in total else one
        if not total or not total["alone"].ranking.counts.any():
            continue
        figures = [each.ranking.aurc for each in total.values()] + [total["alone"].control_ranking.aurc]
        print(f"| {place or 'home'} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
