"""What a model's scores cost beside its pictures: processor time of one thread, in alternation.

    python examples/lab/measure_score_cost.py PICTURES [MODEL] [--runs 15] [--span 4]

PICTURES is a folder of images of which one block is put together, since the time depends on content. Prints a line for
each kind of score: its median share of the time of translating without scores, and the share of the least times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from geo2map.engine import load_engine
from geo2map.protocols import ScoreKind

CUT = 512
KINDS: tuple[frozenset[ScoreKind], ...] = (
    frozenset({"confidence"}),
    frozenset({"probabilities"}),
    frozenset({"confidence", "probabilities"}),
)


def block(folder: Path, side: int) -> np.ndarray:
    """Imagery of this side, uint8 (1, side, side, 3), put together from the first pictures of a folder."""
    row = side // CUT + 1
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png", ".tif"))[: row**2]
    parts = [np.asarray(Image.open(path).convert("RGB"))[:CUT, :CUT] for path in paths]
    rows = [np.concatenate(parts[first : first + row], axis=1) for first in range(0, row**2, row)]
    return np.ascontiguousarray(np.concatenate(rows)[None, :side, :side])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("model", nargs="?", default="sat2map")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--span", type=int, default=4)
    asked = parser.parse_args()
    engine = load_engine(asked.model, device="cpu", threads=1)
    margin = engine.card.margin
    pictures = block(asked.pictures, 256 * asked.span + 2 * margin)
    spent: dict[frozenset[ScoreKind], list[float]] = {kinds: [] for kinds in (frozenset(), *KINDS)}
    for run in range(asked.runs + 1):
        for kinds, seconds in spent.items():
            started = time.process_time()
            engine.begin_scored(pictures, margin, kinds)() if kinds else engine.translate_pixels(pictures, margin)
            if run:  # the first is slower
                seconds.append(time.process_time() - started)
    alone = spent[frozenset()]
    print(f"translating: {1e3 * statistics.median(alone):.0f} ms a block of span {asked.span}")
    for kinds in KINDS:
        shares = [some / plain - 1 for some, plain in zip(spent[kinds], alone, strict=True)]
        least = min(spent[kinds]) / min(alone) - 1
        print(f"{' and '.join(sorted(kinds))}: {100 * statistics.median(shares):+.1f} %, least {100 * least:+.1f} %")


if __name__ == "__main__":
    main()
