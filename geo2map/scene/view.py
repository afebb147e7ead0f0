"""How a scene is rendered: zoom, colours, kernel."""

from __future__ import annotations

from dataclasses import dataclass, field

from geo2map.colour.transform import ColourTransform
from geo2map.types import Resampling


@dataclass(frozen=True)
class View:
    """Everything that decides a scene's pixels on the global grid. A value.

    Attributes:
        zoom: of the grid.
        rendition: stretch and match.
        resampling: kernel of the warp; ignored for tiles, which are used as they are.
    """

    zoom: int
    rendition: ColourTransform = field(default_factory=ColourTransform)
    resampling: Resampling = "cubic"
