"""KID of translated imagery without Inception: the look of crops to the encoder of a packaged model.

    python examples/lab/measure_texture.py PAIRS MODEL... [--list NAMES]

PAIRS are side-by-side pictures, imagery on the left; each MODEL makes imagery of the map on the right. Features of a
128 px crop are mean and spread of every channel of every level on the way down of sat2map-large, which has learned to
tell New York's surfaces apart, as multiples of their spread over the true crops. KID (Binkowski et al., ICLR 2018) is
the unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3. Beside it stands that of two halves of
the true crops, which no model can be expected to beat. "flat": mean gradient, levels a pixel, where the map is one
colour within 8 px; a network that repeats itself there shows in the share of it that has a period of 16 px.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from geo2map.engine import load_engine
from geo2map.evaluate import translate_picture
from geo2map.families import build
from geo2map.families.unet.generator import UNetGenerator
from geo2map.model import find_model, load_card, load_weights
from geo2map.train.pictures import list_pairs

SIDE, PERIOD, FLAT = 128, 16, 8
Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]


def encoder() -> UNetGenerator:
    path = find_model("sat2map-large")
    card = load_card(path)
    network = build(card.architecture, **card.config)
    network.load_state_dict(load_weights(path))
    return network.eval()


@torch.inference_mode()
def features(network: UNetGenerator, picture: Picture) -> Floats:
    """(crops, features) of the whole crops of a picture."""
    rows, columns = (side // SIDE for side in picture.shape[:2])
    crops = picture[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3).swapaxes(1, 2)
    x = torch.from_numpy(np.ascontiguousarray(crops)).reshape(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2).float() / 127.5 - 1
    found = []
    for down in network.down:
        x = down(x)
        found += [x.mean((2, 3)), x.std((2, 3))]
    return torch.cat(found, 1).double().numpy()


def kid(one: Floats, other: Floats) -> float:
    """The unbiased squared maximum mean discrepancy of two sets of features, x 1000."""

    def kernel(x: Floats, y: Floats) -> Floats:
        return (x @ y.T / x.shape[1] + 1) ** 3

    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(one, one), kernel(other, other))]
    return float(1000 * (sum(within) - 2 * kernel(one, other).mean()))


def flat(maps: Picture, image: Picture) -> tuple[float, float]:
    """Mean gradient where the map is one colour, and the share of its grey that repeats itself every 16 px."""
    level = maps.astype(int).sum(-1)
    spread = ndimage.maximum_filter(level, 2 * FLAT + 1) - ndimage.minimum_filter(level, 2 * FLAT + 1)
    grey = image.astype(float).mean(-1)
    gradient = np.hypot(*np.gradient(grey))
    inside = spread < 12
    if not inside.any():
        return np.nan, np.nan
    fine = grey - ndimage.uniform_filter(grey, PERIOD)
    here, there = fine[:, :-PERIOD], fine[:, PERIOD:]
    both = inside[:, :-PERIOD] & inside[:, PERIOD:]
    power = (fine[inside] ** 2).mean()
    repeats = (here * there)[both].mean() / max(power, 1e-9) if both.any() else np.nan
    return float(gradient[inside].mean()), float(repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("pairs", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--list", type=Path, help="names of pictures, one a line; default all")
    asked = parser.parse_args()
    names = None if asked.list is None else {Path(line).stem for line in asked.list.read_text().split()}
    pairs = [file.load() for file in list_pairs(asked.pairs) if names is None or file.a.stem in names]
    network = encoder()
    true = np.concatenate([features(network, imagery) for imagery, _ in pairs])
    centre, scale = true.mean(0), true.std(0) + 1e-6
    true = (true - centre) / scale
    print(f"{len(pairs)} pictures, {len(true)} crops; true halves: KID {kid(true[::2], true[1::2]):.1f}", flush=True)
    seen = np.nanmean([flat(maps, imagery) for imagery, maps in pairs], 0)
    print(f"{'true imagery':40s} flat {seen[0]:.2f}, repeats {seen[1]:.2f}", flush=True)
    for model in asked.models:
        engine = load_engine(model)
        card = engine.card
        made = [translate_picture(maps, engine, card.size_multiple, card.margin) for _, maps in pairs]
        found = (np.concatenate([features(network, picture) for picture in made]) - centre) / scale
        seen = np.nanmean([flat(maps, picture) for (_, maps), picture in zip(pairs, made, strict=True)], 0)
        print(f"{model:40s} KID {kid(found, true):.1f}, flat {seen[0]:.2f}, repeats {seen[1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
