"""Whether a model's confidence means what it says: figures by place, and a reliability diagram.

    python examples/lab/measure_confidence.py MODEL HOME [--places DIR] [--list NAMES] [--svg FILE] [--every N]

HOME holds pairs of the place where the model is at home, --places a folder of pairs for each other place, which are
shown as a renderer would; --list names the pairs of HOME to take. Prints Markdown: error, expected calibration error
(ECE), area under the risk-coverage curve (AURC) with what an oracle and the local contrast of the imagery give, and the
accuracy of the most certain half.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geo2map.api.calibrating import scoring_config
from geo2map.engine import load_engine
from geo2map.evaluate.confidence import reliability_at
from geo2map.metrics.reliability import Ranking, Reliability
from geo2map.train.pictures import list_places, list_splits

SIDE, EDGE = 300, 40
COLOURS = ("#1a6fd1", "#d1661a")


def diagram(rankings: Mapping[str, Ranking]) -> str:
    """Accuracy over confidence as SVG, a line a set; the area of a dot is its share of the pixels."""

    def place(x: float, y: float) -> tuple[float, float]:
        return EDGE + x * SIDE, EDGE / 2 + (1 - y) * SIDE

    whole = SIDE + 2 * EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {whole}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{whole}" height="{whole}" fill="#fff"/>',
        f'<rect x="{EDGE}" y="{EDGE / 2:g}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="#888" stroke-dasharray="4"/>'.format(*place(0, 0), *place(1, 1)),
        f'<text x="{EDGE + SIDE / 2:g}" y="{whole - 12}" text-anchor="middle">confidence</text>',
        f'<text transform="translate(14 {SIDE / 2 + EDGE:g}) rotate(-90)" text-anchor="middle">right</text>',
    ]
    for percent in (0, 50, 100):
        x, y = place(percent / 100, percent / 100)
        parts.append(f'<text x="{x:g}" y="{EDGE / 2 + SIDE + 16:g}" text-anchor="middle">{percent} %</text>')
        parts.append(f'<text x="{EDGE - 4}" y="{y + 4:g}" text-anchor="end">{percent}</text>')
    for number, ((name, ranking), colour) in enumerate(zip(rankings.items(), COLOURS, strict=False)):
        held, sure, right = ranking.bins()
        dots = [(*place(x, y), share) for share, x, y in zip(held, sure, right, strict=True) if share > 0.001]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{18 * s**0.5:.1f}" fill="{colour}"/>' for x, y, s in dots]
        parts.append(f'<text x="{EDGE + 10}" y="{EDGE + 16 * number:g}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def pooled(parts: Mapping[str, Reliability]) -> Ranking:
    """Several places, each of which counts alike."""
    shares = [each.ranking.counts / each.ranking.counts.sum() for each in parts.values()]
    return Ranking(np.sum(shares, axis=0))


def line(name: str, found: Reliability) -> str:
    """A row of the table."""
    told = found.report()
    keys = ("error", "calibration_error", "aurc", "aurc_best", "aurc_control", "accuracy_of_certain_half")
    return f"| {name} | " + " | ".join(f"{told[key]:.3f}" for key in keys) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("home", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--places", type=Path)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    engine = load_engine(asked.model)
    config, temperatures = scoring_config(engine.card), (engine.card.temperature,)
    files, aside = list_splits(asked.home, asked.list)
    sets = {"": (aside if asked.list else files)[:: asked.every]} | (list_places(asked.places) if asked.places else {})
    print(
        f"temperature {engine.card.temperature:.2f}\n\n| | error | ECE | AURC | at best | by contrast | certain half |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    found: dict[str, Reliability] = {}
    for place, some in sets.items():
        total = Reliability()
        for number, file in enumerate(some):
            (one,) = reliability_at(file, engine, config, temperatures, abroad=bool(place))
            total = total + one if number else one
        if total.ranking.counts.any():
            found[place] = total
            print(line(place or "home", total), flush=True)
    shown = {"home": found[""].ranking}
    if abroad := {place: each for place, each in found.items() if place}:
        shown["elsewhere, places alike"] = pooled(abroad)
    if asked.svg:
        asked.svg.write_text(diagram(shown), encoding="utf-8")


if __name__ == "__main__":
    main()
