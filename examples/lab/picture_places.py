"""Takes the manual's pictures of real places: imagery beside the map that the packaged model makes of it.

    python examples/lab/picture_places.py docs/ las-vegas=vegas.tif zurich=zurich.tif

writes docs/place-las-vegas.jpg and docs/place-zurich.jpg. The scenes are not part of the project: a chip of SpaceNet's
Las Vegas (CC BY-SA 4.0) and a piece of SWISSIMAGE (swisstopo, open government data). Run it again when the packaged
model changes, and look at the pictures: their captions name what is wrong in them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from geo2map import preview
from geo2map.files.picture import side_by_side
from geo2map.types import Image

HEIGHT = 380
"""Of a picture, px."""
MOST_BYTES = 120_000


def trimmed(*pictures: Image) -> list[Image]:
    """Pictures of one size without the white rows and columns around what any of them shows."""
    shown = np.any([(picture < 255).any(axis=2) for picture in pictures], axis=0)
    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    return [picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] for picture in pictures]


def take_picture(scene: Path, picture: Path, span: int = 4) -> None:
    """Write imagery and map of the middle of a scene, side by side.

    Args:
        span: tiles of 256 px a side, at most.
    """
    source, drawn, _ = preview(scene, span=span)
    pair = trimmed(source, drawn)
    factor = HEIGHT / pair[0].shape[0]
    size = (round(pair[0].shape[1] * factor), HEIGHT)
    scaled = [np.asarray(Picture.fromarray(half).resize(size, Picture.Resampling.BICUBIC)) for half in pair]
    both = Picture.fromarray(side_by_side(*scaled))
    for quality in range(90, 40, -5):
        both.save(picture, quality=quality, optimize=True)
        if picture.stat().st_size <= MOST_BYTES:
            break


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for argument in sys.argv[2:]:
        name, _, scene = argument.partition("=")
        take_picture(Path(scene), folder / f"place-{name}.jpg")
