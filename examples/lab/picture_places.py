"""Takes the manual's pictures of real places: imagery beside the map that the packaged model makes of it.

    python examples/lab/picture_places.py docs/ zurich=zurich.tif atlanta=atlanta.tif

writes docs/place-zurich.jpg and docs/place-atlanta.jpg. The scenes are not part of the project: a piece of SWISSIMAGE
(swisstopo, open government data) and a chip of SpaceNet's Atlanta (CC BY-SA 4.0). Run it again when the packaged model
changes, and look at the pictures: their captions in docs/index.md name what is wrong in them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from geo2map import preview
from geo2map.files.picture import side_by_side

HEIGHT = 380
"""Of a picture, px."""
MOST_BYTES = 120_000


def take_picture(scene: Path, picture: Path, span: int = 4) -> None:
    """Write imagery and map of the middle of a scene, side by side.

    Args:
        span: tiles of 256 px a side, at most.
    """
    source, drawn, _ = preview(scene, span=span)
    height, width, _ = source.shape
    size = (round(width * HEIGHT / height), HEIGHT)
    scaled = [np.asarray(Picture.fromarray(half).resize(size, Picture.Resampling.BICUBIC)) for half in (source, drawn)]
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
