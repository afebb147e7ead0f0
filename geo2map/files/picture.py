"""PNG images for people: side by side, written atomically."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.files.place import require_new
from geo2map.types import Image, Mask

GAP = 8
HATCH = 12
"""Pixels from one line of the hatching to the next."""
CAPTION = 24
"""Height of a caption, px."""
LETTERS, SMALLEST_LETTERS = 14, 8


def side_by_side(*pictures: Image) -> Image:
    """Pictures of one height in a row with a white gap, uint8 (H, W, 3)."""
    height = pictures[0].shape[0]
    gap = np.full((height, GAP, 3), 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)


def hatched(pixels: Image, mask: Mask) -> Image:
    """A picture whose invalid pixels are hatched in grey, so that they are no part of the map.

    Args:
        pixels: uint8 (H, W, 3).
        mask: bool (H, W), True where they are valid.
    """
    rows, columns = (np.arange(length) for length in mask.shape)
    lines = np.where((rows[:, None] + columns) % HATCH < 2, np.uint8(170), np.uint8(225))
    return np.where(mask[..., None], pixels, lines[..., None])


def captioned_sheet(rows: Sequence[Sequence[tuple[str, Image]]]) -> Image:
    """Pictures of one size in rows, each below its caption, uint8 (H, W, 3).

    Args:
        rows: of captions and pictures; rows may differ in length.
    """
    height, width = rows[0][0][1].shape[:2]
    count = max(len(row) for row in rows)
    size = (count * (width + GAP) - GAP, len(rows) * (height + CAPTION + GAP) - GAP)
    sheet = Pillow.new("RGB", size, "white")
    for number, row in enumerate(rows):
        top = number * (height + CAPTION + GAP)
        for place, (caption, picture) in enumerate(row):
            left = place * (width + GAP)
            sheet.paste(_written(caption, width), (left, top))
            sheet.paste(Pillow.fromarray(picture), (left, top + CAPTION))
    return np.asarray(sheet)


def _written(caption: str, width: int) -> Pillow.Image:
    """A strip with a caption, in smaller letters where it is long."""
    strip, size = Pillow.new("RGB", (width, CAPTION), "white"), LETTERS
    while size > SMALLEST_LETTERS and ImageFont.load_default(size).getlength(caption) > width:
        size -= 1
    ImageDraw.Draw(strip).text((2, CAPTION / 2), caption, "black", ImageFont.load_default(size), anchor="lm")
    return strip


def require_new_picture(path: Path, overwrite: bool) -> None:
    """Refuses an existing file, a name that is not .png, or a place that cannot be written.

    Raises:
        OutputError: in these cases.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path} does not end in .png, the only image format written; choose such a name")
    require_new(path, overwrite)


def write_picture(picture: Image, path: Path) -> None:
    """Writes a PNG beside its name, then renames it.

    Raises:
        OutputError: it cannot be written.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    Pillow.fromarray(picture).save(file, format="PNG")
    write_whole(path, file.getvalue())
