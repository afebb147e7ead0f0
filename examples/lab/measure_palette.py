"""Learns the colours of the `maps` style, and measures what snapping to them costs and saves.

    python examples/lab/measure_palette.py learn MAPS/train geo2map/colour/data/maps.json
    python examples/lab/measure_palette.py measure MAPS/val TRANSLATIONS/

MAPS/ are the pix2pix `maps` pairs; TRANSLATIONS/ keeps what the packaged model made of every eighth, to measure again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from geo2map.colour.colours import colours_json, maps_colours
from geo2map.colour.learn import learn_palette
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.colour.quantizer import PaletteQuantizer
from geo2map.engine import load_engine
from geo2map.evaluate.scores import Scores
from geo2map.evaluate.translate import translate_picture
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.indexed import encode_indexed
from geo2map.train.pictures import list_pairs
from geo2map.types import Image

STEP = 8
WHOLE = np.ones((256, 256), np.bool_)
FIXED = [colour for _, colour in MAPS_PALETTE.entries]


class Variant(NamedTuple):
    name: str
    snap: Callable[[Image], Image]
    encode: Callable[[Image], bytes]


def learn(maps: Path, out: Path) -> None:
    out.write_text(colours_json(learn_palette((pair.load()[1] for pair in list_pairs(maps)), FIXED)))


def translations(maps: Path, kept: Path) -> list[tuple[Image, Image]]:
    """True maps and translations, uint8 (600, 600, 3)."""
    kept.mkdir(parents=True, exist_ok=True)
    engine = None
    for number, pair in enumerate(list_pairs(maps)[::STEP]):
        path = kept / f"{number:03}.npz"
        if not path.exists():
            engine = engine or load_engine("sat2map", device="cpu", precision="fp32")
            image, truth = pair.load()
            np.savez(path, t=truth, p=translate_picture(image, engine, engine.card.size_multiple, engine.card.margin))
    return [(found["t"], found["p"]) for found in map(np.load, sorted(kept.glob("*.npz")))]


def indexed(name: str, snap: PaletteQuantizer) -> Variant:
    return Variant(name, snap, lambda pixels: encode_indexed(snap.indices(pixels), WHOLE, snap.colours))


def cost(encode: Callable[[Image], bytes], tiles: list[Image]) -> tuple[float, float]:
    """Milliseconds of processor time and KiB a tile; the best of three rounds."""
    times = []
    for _ in range(3):
        start = time.process_time()
        sizes = [len(encode(tile)) for tile in tiles]
        times.append(time.process_time() - start)
    return 1000 * min(times) / len(tiles), sum(sizes) / len(tiles) / 1024


def measure(maps: Path, kept: Path) -> None:
    pairs = translations(maps, kept)
    tiles = [np.ascontiguousarray(p[y : y + 256, x : x + 256]) for _, p in pairs for y in (0, 256) for x in (0, 256)]
    learned, seven = PaletteQuantizer(maps_colours()), PaletteQuantizer(FIXED)
    variants = [Variant("RGB PNG, as the network drew", lambda p: p, lambda p: encode_tile(p, WHOLE, "png"))]
    variants += [indexed(f"{len(learned.colours)} learned colours", learned), indexed("7 class colours", seven)]
    print(f"{len(pairs)} pictures, {len(tiles)} tiles; snapping a tile: {cost(_bytes(learned), tiles)[0]:.2f} ms\n")
    print("| | RMSE sum | RMSE | ACC<5 | ACC<10 | mean IoU | road F1 | ms a tile | KiB a tile |")
    print("|---" * 9 + "|")
    for name, snap, encode in variants:
        scores = [Scores.of(truth, snap(prediction), MAPS_PALETTE) for truth, prediction in pairs]
        total = sum(scores[1:], scores[0]).report()
        figures = [f"{total[key]:.2f}" for key in ("rmse_sum", "rmse")]
        figures += [f"{total[key]:.1%}" for key in ("acc5", "acc10")]
        figures += [f"{value:.3f}" for value in (total["class_iou"]["mean"], total["road_f1"])]
        print("|", " | ".join([name, *figures, *(f"{value:.1f}" for value in cost(encode, tiles))]), "|", flush=True)
        print("<!-- IoU", {key: round(value, 3) for key, value in total["class_iou"].items()}, "-->", flush=True)


def _bytes(snap: PaletteQuantizer) -> Callable[[Image], bytes]:
    return lambda pixels: snap.indices(pixels).tobytes()


if __name__ == "__main__":
    {"learn": learn, "measure": measure}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
