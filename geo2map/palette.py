"""The fixed palette of a map style: which colour stands for which class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
