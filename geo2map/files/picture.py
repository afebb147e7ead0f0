"""PNG images for people: side by side, written atomically."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.files.place import require_new
from geo2map.types import Image

GAP = 8


def side_by_side(*pictures: Image) -> Image:
    """Pictures of one height in a row with a white gap, uint8 (H, W, 3)."""
    height = pictures[0].shape[0]
    gap = np.full((height, GAP, 3), 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)


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
