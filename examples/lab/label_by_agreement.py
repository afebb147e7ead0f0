"""Labels for what nobody has labelled: where several models, each looking at a picture in several ways, agree.

    python examples/lab/label_by_agreement.py places/ agreed/ --models sat2map,a.safetensors,b.safetensors \\
        --aside examples/elsewhere-validation.txt --every penang=3,dubai=0

PLACES is a folder of pairs for each place (docs/training.md). OUT becomes another one with the same pairs: what is
known stays as it is, and of the rest, pixels become known where the models agree. `geo2map train --elsewhere OUT`
learns from both. Pictures held out, those without a mask, and those that --every leaves out are copied. Whether
ground is park or land stays open: the style of a map decides that, not its imagery. The first model also looks at
each picture enlarged. A second run goes on where the first one was stopped.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.colour.statistics import DIFFERENT
from geo2map.colour.transform import make_rendition
from geo2map.engine.engine import Engine
from geo2map.engine.load import load_engine
from geo2map.evaluate.translate import translate_picture
from geo2map.metrics import classify
from geo2map.train.pictures import ALL_LABELS, LABEL_BITS, LABEL_MASK_SUFFIX, LabelMask, PairFile, list_places

Picture = NDArray[np.uint8]
Shares = NDArray[np.float32]

NAMES = MAPS_PALETTE.classes
LAND, BUILDING, ROAD, WATER, PARK, HIGHWAY = map(NAMES.index, ("land", "building", "road", "water", "park", "highway"))
LEAST = np.array([{LAND: 0.7, BUILDING: 0.6, ROAD: 0.6, WATER: 0.9}.get(each, 2.0) for each in range(len(NAMES))])
"""Mean probability from which on a class is believed; of land together with parks, of roads together with highways."""
OPEN = LABEL_BITS["road"] | LABEL_BITS["building"] | LABEL_BITS["water"]
"""What is known where the models see land or a park: that it is none of these."""
TURNS = ((0, False), (1, False), (0, True), (3, True))
"""Quarter turns of a picture, and whether it is mirrored then."""
LARGER = 1.25
"""The first model looks at an enlarged picture, too: small houses show better."""
UNLABELLED = 0.02
"""Share of pixels of which nothing is known that a label may leave by chance; if there are more, they stay unknown."""
DARK = 3
"""Level up to which a pixel may be where there is no imagery."""
MARGIN = 64
GROUPS = tuple((name,) for name in NAMES)
BITS = np.array([LABEL_BITS.get(name, 0) for name in NAMES], np.uint8)
COLOURS = np.array([next(colour for name, colour in MAPS_PALETTE.entries if name == each) for each in NAMES], np.uint8)


def shares(picture: Picture, engine: Engine, scale: float = 1.0) -> Shares:
    """Probabilities of the classes, float32 (H, W, classes): means over `TURNS`, highways as roads.

    Classes are favoured as in a scene of these colours, which are matched as far as the card says, without a trial.
    """
    card, pixels = engine.card, picture.reshape(-1, 3)
    assert card.colours is not None
    rendition, distance = make_rendition(pixels, card.colours, "auto", matching=card.matching)
    engine = engine.favouring(card.favours_elsewhere) if distance > DIFFERENT else engine
    neutral, (height, width) = card.colours.neutral("a2b"), picture.shape[:2]
    seen = _resized(rendition(picture), round(height * scale), round(width * scale))

    def draw(batch: Picture) -> Picture:
        return engine.translate_tempered(batch, 0, (), GROUPS).planes.transpose(0, 2, 3, 1)

    total = np.zeros((*seen.shape[:2], len(NAMES)), np.float32)
    for quarters, mirrored in TURNS:
        turned = np.rot90(seen, quarters)
        turned = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
        found = translate_picture(turned, engine, card.size_multiple, MARGIN, neutral, draw)
        total += np.rot90(found[:, ::-1] if mirrored else found, -quarters)
    planes = [_resized(plane, height, width) for plane in np.moveaxis(total / (255 * len(TURNS)), -1, 0)]
    return np.stack(planes, -1)


def _resized(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    if plane.shape[:2] == (height, width):
        return plane
    method = PIL.Image.Resampling.BICUBIC if plane.ndim == 3 else PIL.Image.Resampling.BILINEAR
    return np.asarray(PIL.Image.fromarray(plane).resize((width, height), method))


def agreed(picture: Picture, truth: Picture, known: LabelMask, engines: list[Engine]) -> tuple[Picture, LabelMask]:
    """The map and what is known of it, with what the models agree on."""
    views = [np.mean([shares(picture, engine, scale) for scale in scales], 0) for engine, scales in _looks(engines)]
    likely = [_folded(view) for view in views]
    best, mean = np.stack([view.argmax(-1) for view in likely]), np.mean(likely, 0)
    top, label = mean.argmax(-1), classify(truth, MAPS_PALETTE)
    believed = (best == best[0]).all(0) & (mean.max(-1) >= LEAST[top])
    believed &= (top != ROAD) | (mean[..., ROAD] >= 2 * np.mean(views, 0)[..., HIGHWAY])  # few places label highways
    labelled = (known & BITS[label]) != 0  # it is what the map says
    excluded = ((known & BITS[top]) != 0) & (label != top)
    believed &= ((known & ALL_LABELS) != ALL_LABELS) & ~labelled & ~excluded & (picture.max(-1) > DARK)
    if (known == 0).mean() >= UNLABELLED:
        believed &= known != 0
    truth, known = truth.copy(), known.copy()
    truth[believed] = COLOURS[top[believed]]
    known[believed] = np.where(top == LAND, OPEN | known, ALL_LABELS)[believed]
    return truth, known


def _looks(engines: list[Engine]) -> Iterator[tuple[Engine, tuple[float, ...]]]:
    for number, engine in enumerate(engines):
        yield engine, (1.0,) if number else (1.0, LARGER)


def _folded(view: Shares) -> Shares:
    """Highways as roads, parks as land."""
    view = view.copy()
    for part, whole in ((HIGHWAY, ROAD), (PARK, LAND)):
        view[..., whole] += view[..., part]
        view[..., part] = 0
    return view


def _save(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file that is there as a whole or not at all."""
    part = path.with_name(f".{path.name}")
    write(part)
    part.replace(path)


def _label(pair: PairFile, out: Path, engines: list[Engine] | None) -> bool:
    """Writes a pair with what the models agree on, or as it is; whether it was not there yet. The mask comes last."""
    known, mask = pair.load_label_mask(), out / (pair.a.stem + LABEL_MASK_SUFFIX)
    if (out / pair.name if known is None else mask).is_file():
        return False
    if engines and known is not None:
        picture, truth = pair.load()
        truth, known = agreed(picture, truth, known, engines)
        both = PIL.Image.fromarray(np.concatenate((picture, truth), 1))
        _save(out / f"{pair.a.stem}.png", both.save)
    else:
        _save(out / pair.name, lambda part: shutil.copy(pair.a, part))
    if known is not None:
        _save(mask, PIL.Image.fromarray(known).save)
    return True


def _strides(text: str) -> dict[str, int]:
    try:
        return {place: int(number) for place, _, number in (part.partition("=") for part in text.split(",") if part)}
    except ValueError as error:
        raise argparse.ArgumentTypeError("give PLACE=N, with commas") from error


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("places", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", default="sat2map", help="names or files, with commas; the first one looks most")
    parser.add_argument("--aside", type=Path, required=True, help="list of PLACE/NAME that are not for training")
    parser.add_argument("--every", type=_strides, default={}, help="label every Nth pair of a place: PLACE=N; 0: none")
    asked = parser.parse_args()
    engines = [load_engine(model) for model in asked.models.split(",")]
    aside = set(asked.aside.read_text(encoding="utf-8").split())
    for place, pairs in list_places(asked.places).items():
        if pairs[0].b is not None:
            raise SystemExit(f"{place} has pairs in two folders; join them into pictures of A|B")
        (asked.out / place).mkdir(parents=True, exist_ok=True)
        stride = asked.every.get(place, 1)
        theirs = [pair for pair in pairs if f"{place}/{pair.name}" not in aside]
        chosen = set(theirs[::stride]) if stride else set()
        for pair in pairs:
            if _label(pair, asked.out / place, engines if pair in chosen else None) and pair in chosen:
                print(f"{place}/{pair.name}", flush=True)


if __name__ == "__main__":
    main()
