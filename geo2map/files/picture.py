"""Plain pictures for people: side by side, written whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from geo2map.errors import OutputError
from geo2map.types import Image

GAP = 8


def side_by_side(*pictures: Image) -> Image:
    """Pictures of one height in a row with a white gap, uint8 (H, W, 3)."""
    height = pictures[0].shape[0]
    gap = np.full((height, GAP, 3), 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)


def require_new(path: Path, overwrite: bool) -> None:
    """Refuses an existing file, or a name that is not .png.

    Raises:
        OutputError: in both cases.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"picture {path} asked, but only .png is written: give a name that ends in .png")
    if path.exists() and not overwrite:
        raise OutputError(f"output {path} asked, but it exists: pass --overwrite or another --out")


def write_picture(picture: Image, path: Path) -> None:
    """Writes a PNG beside its name, then renames it.

    Raises:
        OutputError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(picture).save(partial, format="PNG")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OutputError(f"output {path} asked, but it cannot be written ({error}): give another --out") from error
