"""A plan: everything that decides the pixels of an output. A value with a JSON form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from geo2map.aoi import Aoi
from geo2map.colour.transform import ColourTransform
from geo2map.errors import PlanError
from geo2map.files.notebook import notebook_html
from geo2map.grid import Block, PixelWindow, lnglat_bounds, tile_range
from geo2map.plan.area_tiles import AreaTiles
from geo2map.plan.picture import area_svg
from geo2map.scene.view import View
from geo2map.types import Favours


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is rendered. Blocks are derived, never stored.

    Attributes:
        name: name of the scene.
        view: zoom, colours and kernel; the engine runs at its zoom, all others are overviews.
        window: global pixels of the scene at that zoom, clipped to the aoi.
        block_span: tiles along a side of a block, a power of two; blocks start on multiples of it.
        margin: pixels of context for the model; 0 without one.
        fill_radius, neutral: how pixels without data are filled, see `geo2map.grid.fill`.
        noise: additional bands of noise, see `geo2map.grid.add_noise`.
        favours: added to the scores of classes, see `ModelCard.favours_elsewhere`.
        model: the card's identity, "" without a model.
        content: hash of the scene's decimated sample, which distinguishes scenes of the same name.
        aoi, clip: restricts what is written to tiles of the area, or to its pixels; does not affect what is read.
        notes: scale mismatch, match and warnings in sentences; not part of the fingerprint.
    """

    name: str
    view: View
    window: PixelWindow
    block_span: int
    margin: int = 0
    fill_radius: int = 0
    neutral: tuple[int, int, int] = (0, 0, 0)
    noise: int = 0
    favours: Favours = ()
    model: str = ""
    content: str = ""
    aoi: Aoi | None = None
    clip: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.window.empty:
            raise PlanError(f"{self.name}: covers no pixel at zoom {self.maxzoom}; choose a larger zoom")
        require_power_of_two(self.block_span)

    @property
    def maxzoom(self) -> int:
        """The zoom that is rendered."""
        return self.view.zoom

    @property
    def tiles(self) -> PixelWindow:
        """Columns and rows of the tiles at maxzoom."""
        return tile_range(self.window)

    def blocks(self, within: PixelWindow | None = None) -> Iterator[Block]:
        """The blocks with a tile to write, row by row (like most rasters), clipped to `tiles`.

        Args:
            within: restricts them to columns and rows of tiles, whole blocks.
        """
        tiles, span = self.tiles if within is None else within.intersection(self.tiles), self.block_span
        for top in range(tiles.top // span * span, tiles.bottom, span):
            for left in range(tiles.left // span * span, tiles.right, span):
                part = PixelWindow(left, top, left + span, top + span).intersection(tiles)
                if self.aoi is None or self.aoi.tiles(part, self.maxzoom).any():
                    yield Block(self.maxzoom, part.left, part.top, part.width, part.height, self.margin)

    @property
    def block_count(self) -> int:
        """Number of `blocks`."""
        if self.aoi is not None:
            level = self.block_span.bit_length() - 1
            if level > self.maxzoom:  # a block is larger than the world
                return sum(1 for _ in self.blocks())
            return AreaTiles(self.tiles, self.aoi, self.maxzoom).count(level)
        columns, rows = self._block_range
        return columns * rows

    @property
    def tile_count(self) -> int:
        """Number of tiles that the window and area touch: upper bound of those written at maxzoom."""
        return AreaTiles(self.tiles, self.aoi, self.maxzoom).count(0)

    @property
    def _block_range(self) -> tuple[int, int]:
        tiles, span = self.tiles, self.block_span
        return -(-tiles.right // span) - tiles.left // span, -(-tiles.bottom // span) - tiles.top // span

    @property
    def block_levels(self) -> int:
        """Zooms above maxzoom that a block holds completely: their tiles depend on no other block.

        0 if the first and last column of blocks coincide across the antimeridian.
        """
        levels = min(self.block_span.bit_length() - 1, self.maxzoom)
        return levels if self._block_range[0] * self.block_span <= 2**self.maxzoom else 0

    def block_key(self, block: Block) -> tuple[int, int]:
        """Column and row of a block in units of `block_span`, independent of clipping."""
        return block.x // self.block_span, block.y // self.block_span

    def untranslated(self) -> Plan:
        """The same pixels without translation: no margin, fill or model."""
        return replace(self, margin=0, fill_radius=0, noise=0, model="")

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        values = dict(values)
        values["window"] = PixelWindow(*values["window"])
        values["aoi"] = values["aoi"] and Aoi(**values["aoi"])
        values["neutral"], values["notes"] = tuple(values["neutral"]), tuple(values["notes"])
        values["favours"] = tuple((name, more) for name, more in values["favours"])
        view = values["view"]
        pairs = (view["rendition"][key] for key in ("stretch", "curves"))
        rendition = ColourTransform(*(None if part is None else tuple(map(tuple, part)) for part in pairs))
        values["view"] = View(view["zoom"], rendition, view["resampling"])
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        return cls.from_dict(json.loads(text))

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over everything that affects pixels of the output."""
        values = {key: value for key, value in self.to_dict().items() if key != "notes"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def _repr_html_(self) -> str:
        """For notebooks: where the map lies and what it is cut into."""
        return self.as_html()

    def as_html(self, more: Iterable[tuple[str, str]] = ()) -> str:
        """A drawing of the map's window, blocks and area of interest beside a table, as one HTML element.

        Args:
            more: further rows of the table.
        """
        tiles = self.tiles
        bounds = ", ".join(f"{degrees:.5f}" for degrees in lnglat_bounds(self.window, self.maxzoom))
        entries = {
            "zoom": str(self.maxzoom),
            "size": f"{self.window.width} x {self.window.height} px, {tiles.width} x {tiles.height} tiles",
            "bounds": f"{bounds} (west, south, east, north)",
            "blocks": f"{self.block_count} of at most {self.block_span} x {self.block_span} tiles, "
            f"margin {self.margin} px",
            "area": "" if self.aoi is None else f"{self.tile_count} tiles in the area of interest",
            "model": self.model,
        }
        picture = area_svg(
            self.window,
            zoom=self.maxzoom,
            block_span=self.block_span,
            aoi=self.aoi,
            words=f"window, blocks and area of {self.name}",
        )
        return notebook_html(self.name, [*entries.items(), *more], picture=picture, remarks=self.notes)

    def __str__(self) -> str:
        tiles, limited = self.tiles, "" if self.aoi is None else " (those in the area of interest)"
        lines = [
            f"{self.name}: zoom {self.maxzoom}, {self.window.width} x {self.window.height} px",
            f"{tiles.width} x {tiles.height} tiles{limited} in {self.block_count} blocks of at most "
            f"{self.block_span} x {self.block_span}, margin {self.margin} px",
        ]
        return "\n".join([*lines, *self.notes])


def require_power_of_two(span: int) -> None:
    """
    Raises:
        PlanError: it is not one; names the two nearest.
    """
    if span < 1 or span & (span - 1):
        below = 1 << max(0, max(span, 1).bit_length() - 1)
        nearest = f"{below} or {2 * below}" if span > 1 else "1 or 2"
        raise PlanError(f"block span {span}: not a power of two; give {nearest}", option="block_span", usage=True)
