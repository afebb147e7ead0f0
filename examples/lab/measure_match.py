"""How far to match a scene's colours, and what stands for no data: pairs of other places, each drawn as a scene.

    python examples/lab/measure_match.py PLACES MODEL [--list NAMES] [--home PAIRS]

PLACES holds a folder of pairs for each place, NAMES which of them to take. First table: means over places, colours
matched so far of the way to the model's (where they differ at all). Second table: false water, and pixels of the true
class, within 48 px of a rim, for the quantile of the model's imagery that lies beyond the fill: the borders of the
same pictures, matched half way, and squares of 192 px cut out of PAIRS, where the model is at home.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from geo2map.colour import ColourStatistics, Palette
from geo2map.colour.transform import make_rendition
from geo2map.engine import Engine, load_engine
from geo2map.evaluate import Scores, translate_picture
from geo2map.train.pictures import ALL_LABELS, LABEL_BITS, PairFile, list_pairs, list_places

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
QUANTILES = (0.5, 0.72, 0.78, 0.82, 0.85, 0.88, 0.94)
RIM, SIDE = 48, 192
Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


class Sample(NamedTuple):
    """Imagery uint8 (H, W, 3), the map of it, and what is known of that, uint8 (H, W)."""

    image: Picture
    truth: Picture
    known: Picture


def abroad(folder: Path, names: set[str] | None) -> dict[str, list[Sample]]:
    found = {}
    for place, files in list_places(folder).items():
        kept = [file for file in files if names is None or f"{place}/{file.a.name}" in names]
        if kept:
            found[place] = [sample(file) for file in kept]
    return found


def sample(file: PairFile) -> Sample:
    image, truth = file.load()
    known = file.load_label_mask()
    return Sample(image, truth, np.full(image.shape[:2], ALL_LABELS, np.uint8) if known is None else known)


def squares(folder: Path) -> Iterator[Sample]:
    for file in list_pairs(folder)[::3]:
        a, b = (side[64 : 64 + SIDE, 64 : 64 + SIDE] for side in file.load())
        yield Sample(a, b, np.full(a.shape[:2], ALL_LABELS, np.uint8))


def draw(engine: Engine, image: Picture, neutral: Colour) -> Picture:
    return translate_picture(image, engine, engine.card.size_multiple, engine.card.margin, neutral)


def matched(image: Picture, colours: ColourStatistics, share: float) -> Picture:
    """The picture in colours so far of the way to those of the model, where they differ at all."""
    rendition, _ = make_rendition(image.reshape(-1, 3), colours, "auto", matching=share)
    return rendition(image)


def mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def match_table(engine: Engine, places: dict[str, list[Sample]], colours: ColourStatistics, palette: Palette) -> None:
    print("| way | road F1 | building IoU | water IoU | mean IoU | false water |\n|---|---|---|---|---|---|")
    for share in SHARES:
        rows = []
        for samples in places.values():
            scores = [
                Scores.of(
                    s.truth,
                    draw(engine, matched(s.image, colours, share), engine.card.neutral),
                    palette,
                    known=s.known,
                )
                for s in samples
            ]
            rows.append(sum(scores[1:], scores[0]).report())
        means = [mean([row["road_f1"] for row in rows])]
        means += [mean([row["class_iou"].get(name) for row in rows]) for name in ("building", "water", "mean")]
        print(f"| {share} | {' | '.join(f'{x:.3f}' for x in means)} | {mean([r['false_water'] for r in rows]):.1%} |")


def rims(engine: Engine, samples: list[Sample], neutral: Colour, palette: Palette) -> str:
    """False water and pixels right near the border of each picture, of what is known there."""
    water = palette.classes.index("water")
    wrong = dry = right = known = 0
    for image, truth, labels in samples:
        drawn, wanted = (palette.classify(side) for side in (draw(engine, image, neutral), truth))
        inside = ndimage.distance_transform_edt(np.pad(np.ones(drawn.shape, bool), 1))[1:-1, 1:-1]
        land = (inside <= RIM) & (labels & LABEL_BITS["water"] != 0) & (wanted != water)
        full = (inside <= RIM) & (labels & ALL_LABELS == ALL_LABELS)
        wrong, dry = wrong + int((land & (drawn == water)).sum()), dry + int(land.sum())
        right, known = right + int((full & (drawn == wanted)).sum()), known + int(full.sum())
    return f"{wrong / max(dry, 1):.2%} | {right / max(known, 1):.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", type=Path)
    parser.add_argument("model")
    parser.add_argument("--list", type=Path, dest="names")
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    engine = load_engine(asked.model)
    colours, palette = engine.card.colours, engine.card.palette
    if colours is None or palette is None:
        raise SystemExit(f"{asked.model} has no colours or no palette: there is nothing to measure")
    names = set(asked.names.read_text(encoding="utf-8").split()) if asked.names else None
    places = abroad(asked.places, names)
    match_table(engine, places, colours, palette)
    there = [
        sample._replace(image=matched(sample.image, colours, engine.card.matching))
        for samples in places.values()
        for sample in samples
    ]
    here = list(squares(asked.home)) if asked.home else []
    print(
        "\n| quantile | colour | elsewhere: false water | right | at home: false water | right |\n" + "|---" * 6 + "|"
    )
    for quantile in QUANTILES:
        neutral = colours.quantile(quantile)
        columns = [rims(engine, samples, neutral, palette) for samples in (there, here)]
        print(f"| {quantile} | {', '.join(map(str, neutral))} | {columns[0]} | {columns[1]} |", flush=True)


if __name__ == "__main__":
    main()
