"""What is compared, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geo2map.colour import ColourStatistics
from geo2map.colour.palette import Palette
from geo2map.errors import DataError
from geo2map.types import Direction as Direction
from geo2map.types import Favours

ProtocolName = Literal["native", "scene", "maps256", "maps256-reduced"]
TILE = 256


@dataclass(frozen=True)
class EvaluateConfig:
    """How pictures are fed to a translator and compared.

    Attributes:
        size_multiple: the translator takes pictures whose sides are multiples of this many pixels.
        margin: pixels of context around a picture, made by reflection, and around a tile; a multiple of
            `size_multiple`.
        palette: of the target pictures; None for photographs: no IoU and no road F1.
        protocol: see the package.
        direction: "a2b" translates the left half, "b2a" the right.
        colours: of the translator's training imagery, to which protocol "scene" matches pictures; None: no match.
        matching: how far it matches them there, from 0 to 1.
        tries: whether it tries that on a sample, see `ModelCard.can_try`.
        favours_elsewhere: of pictures whose colours differ, there.
        limit: how many pictures at most, the first in natural order; None: all.
        name: of the translator in the table.
        seams: how many pictures, evenly spread, are also translated in tiles; 0: no seam scores.
        tile: side of these tiles, pixels; at most where the translator makes tiles of its own `size_multiple`, at
            least twice that elsewhere.
        vectors: whether features are read out of the translations and measured, too.
        metres: on the ground, of a pixel.
    """

    size_multiple: int
    margin: int
    palette: Palette | None = None
    protocol: ProtocolName = "native"
    direction: Direction = "a2b"
    limit: int | None = None
    name: str = "model"
    seams: int = 16
    tile: int = TILE
    colours: ColourStatistics | None = None
    matching: float = 1.0
    tries: bool = False
    favours_elsewhere: Favours = ()
    vectors: bool = False
    metres: float = 1.0

    def __post_init__(self) -> None:
        least = {"size multiple": 1, "margin": 0, "limit": 1, "seams": 0, "tile": 2}
        values = (self.size_multiple, self.margin, 1 if self.limit is None else self.limit, self.seams, self.tile)
        for (name, lowest), value in zip(least.items(), values, strict=True):
            if value < lowest:
                raise DataError(f"{name} {value}: too low; give at least {lowest}")
        if self.vectors and self.palette is None:
            raise DataError("vectors: photographs have no classes; measure a model that draws maps", option="vectors")
        if self.vectors and self.protocol not in ("native", "scene"):
            raise DataError(f"vectors: not measured at {self.protocol}; take native or scene", option="vectors")
        if self.margin % self.size_multiple:
            raise DataError(f"margin {self.margin}: the model needs a multiple of {self.size_multiple} px")
