"""A plan: everything that decides the pixels of an output, before any of them exists. A value with a JSON form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

from geo2map import grid
from geo2map.aoi import Aoi
from geo2map.colour.rendition import Rendition
from geo2map.errors import PlanError, ZoomError
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block
from geo2map.types import Resampling, TileFormat


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be rendered. Blocks are derived, never stored.

    Attributes:
        name: of the scene.
        maxzoom, minzoom: the engine runs at maxzoom; the rest are overviews.
        window: global pixels at maxzoom that hold the scene, as far as the aoi reaches.
        block_span: tiles along a side of a block; blocks start on multiples of it.
        margin: pixels of context the model gets; 0 where nothing is translated.
        fill_radius, neutral: how pixels without data are filled, see `geo2map.grid.fill`.
        rendition: stretch and match.
        resampling, format: as in `PlanOptions`.
        model: name and fingerprint of the card, "" where nothing is translated.
        content: hash of the scene's decimated sample, so that another scene of the same name is another plan.
        aoi, clip: what is written of the window: tiles of the area, or its pixels; None writes all. What is read
            does not depend on it.
        notes: sentences a user should read: scale mismatch, match, warnings. Not part of the fingerprint.
    """

    name: str
    maxzoom: int
    minzoom: int
    window: PixelWindow
    block_span: int
    margin: int = 0
    fill_radius: int = 0
    neutral: tuple[int, int, int] = (0, 0, 0)
    rendition: Rendition = field(default_factory=Rendition)
    resampling: Resampling = "cubic"
    format: TileFormat = "png"
    model: str = ""
    content: str = ""
    aoi: Aoi | None = None
    clip: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.window.empty:
            raise PlanError(f"{self.name} covers no pixel at zoom {self.maxzoom}: nothing to render")
        if self.minzoom > self.maxzoom:
            raise ZoomError(f"minzoom {self.minzoom} asked, but maxzoom is {self.maxzoom}: lower --minzoom")

    @property
    def tiles(self) -> PixelWindow:
        """Columns and rows of the tiles at maxzoom."""
        return grid.tile_range(self.window)

    def blocks(self) -> Iterator[Block]:
        """The blocks with a tile to write, row by row (most rasters are stored so), trimmed to `tiles`."""
        tiles, span = self.tiles, self.block_span
        for top in range(tiles.top // span * span, tiles.bottom, span):
            for left in range(tiles.left // span * span, tiles.right, span):
                part = PixelWindow(left, top, left + span, top + span).intersection(tiles)
                if self.aoi is None or self.aoi.tiles(part, self.maxzoom).any():
                    yield Block(self.maxzoom, part.left, part.top, part.width, part.height, self.margin)

    @property
    def block_count(self) -> int:
        """How many blocks `blocks` yields."""
        if self.aoi is not None:
            return sum(1 for _ in self.blocks())
        tiles, span = self.tiles, self.block_span
        columns = -(-tiles.right // span) - tiles.left // span
        return columns * (-(-tiles.bottom // span) - tiles.top // span)

    def untranslated(self) -> Plan:
        """The same pixels, cut only: no margin, no fill, no model."""
        return replace(self, margin=0, fill_radius=0, model="", format="png")

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Reads what `to_json` wrote."""
        values = json.loads(text)
        rendition = values["rendition"]
        values["window"] = PixelWindow(*values["window"])
        values["aoi"] = values["aoi"] and Aoi(**values["aoi"])
        values["neutral"], values["notes"] = tuple(values["neutral"]), tuple(values["notes"])
        values["rendition"] = Rendition(
            *(None if rendition[key] is None else tuple(map(tuple, rendition[key])) for key in ("stretch", "curves"))
        )
        return cls(**values)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when any pixel of the output may."""
        values = {key: value for key, value in json.loads(self.to_json()).items() if key != "notes"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        tiles, limited = self.tiles, "" if self.aoi is None else " (those in the area of interest)"
        lines = [
            f"{self.name}: zoom {self.maxzoom} down to {self.minzoom}, {self.window.width} x {self.window.height} px",
            f"{tiles.width} x {tiles.height} tiles{limited} in {self.block_count} blocks of at most "
            f"{self.block_span} x {self.block_span}, margin {self.margin} px",
        ]
        return "\n".join([*lines, *self.notes])
