"""The fixed palette of a map style: which colour stands for which class."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geo2map.errors import DataError
from geo2map.files.encoding import read_text_file
from geo2map.types import Image

_NEAR = 14
"""Levels within which a colour is taken for a palette colour blurred by JPEG."""


@dataclass(frozen=True)
class Palette:
    """Classes of a map style and their colours; a class may have several colours.

    Attributes:
        entries: (class name, (red, green, blue)) pairs, levels 0 to 255.
    """

    entries: tuple[tuple[str, tuple[int, int, int]], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their first colour."""
        return tuple(dict.fromkeys(name for name, _ in self.entries))

    @property
    def colours(self) -> npt.NDArray[np.uint8]:
        """Colours, uint8 (entries, 3)."""
        return np.array([colour for _, colour in self.entries], dtype=np.uint8)

    @property
    def class_of_entry(self) -> npt.NDArray[np.int64]:
        """Index into `classes` for each entry, int64 (entries,)."""
        order = self.classes
        return np.array([order.index(name) for name, _ in self.entries], dtype=np.int64)

    def classify(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Class index of the nearest colour (squared RGB distance) for each pixel.

        Args:
            image: uint8 (..., 3).

        Returns:
            int64 (...), indices into `classes`; the first entry wins a tie.
        """
        pixels = image[..., None, :].astype(np.int32)
        distance = ((pixels - self.colours.astype(np.int32)) ** 2).sum(axis=-1)
        return self.class_of_entry[distance.argmin(axis=-1)]

    def flatten(self, image: Image, levels: int) -> Image:
        """Colours whose channels are all within `levels` of a palette colour become the nearest such one."""
        flat, best = image.copy(), np.full(image.shape[:-1], levels + 1, dtype=np.uint8)
        value = np.arange(256, dtype=np.int16)
        for colour in self.colours:
            red, green, blue = (np.abs(value - level).astype(np.uint8)[image[..., i]] for i, level in enumerate(colour))
            distance = np.maximum(np.maximum(red, green), blue)
            closer = distance < best
            best[closer], flat[closer] = distance[closer], colour
        return flat

    def share(self, pixels: npt.NDArray[np.uint8]) -> float:
        """Share of pixels, uint8 (..., 3), that lie within `_NEAR` levels of one of the colours; 0 to 1."""
        distance = np.abs(pixels[..., None, :].astype(np.int16) - self.colours.astype(np.int16)).max(axis=-1)
        return float((distance.min(axis=-1) <= _NEAR).mean())


MAPS_PALETTE = Palette(
    (
        ("land", (232, 228, 222)),
        ("building", (242, 240, 233)),
        ("road", (254, 254, 252)),
        ("water", (177, 208, 254)),
        ("park", (202, 222, 174)),
        ("highway", (250, 158, 37)),
        ("highway", (255, 224, 104)),
    )
)
"""The style of the pix2pix `maps` pictures (Google Maps of about 2016)."""


def load_palette(path: Path) -> Palette:
    """Reads a palette: tab-separated text with the columns class, red, green, blue.

    Raises:
        DataError: missing, or not such a table.
    """
    try:
        rows = list(csv.DictReader(read_text_file(path).splitlines(), delimiter="\t"))
        entries = tuple((row["class"], (int(row["red"]), int(row["green"]), int(row["blue"]))) for row in rows)
        if not entries or not all(0 <= level <= 255 for _, colour in entries for level in colour):
            raise ValueError("no rows, or levels outside 0 to 255")
    except FileNotFoundError as error:
        raise DataError(f"palette not found: {path}; check the path", option="palette") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        fault = f"its first line doesn't name the column {error}" if isinstance(error, KeyError) else error
        raise DataError(
            f"palette {path} is not a tab-separated table of class, red, green, blue ({fault})",
            option="palette",
        ) from error
    return Palette(entries)
