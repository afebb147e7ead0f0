"""A plan: everything that decides the pixels of an output, before any of them exists. A value with a JSON form."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt

from geo2map import grid
from geo2map.aoi import Aoi, AoiLike, make_aoi
from geo2map.block import Block
from geo2map.errors import PlanError, ResolutionError, ZoomError
from geo2map.fill import FILL_RADIUS
from geo2map.grid import PixelWindow
from geo2map.model.card import ModelCard
from geo2map.scene.imagery import Imagery
from geo2map.scene.rendition import Rendition, make_rendition
from geo2map.scene.stretch import parse_stretch
from geo2map.types import Match, Resampling, TileFormat

COARSEST = 3.0
"""Scene metres per model metre above which a model has nothing to recognise."""
FINEST = 4.0
"""Scene metres per output metre above which a zoom only blows pixels up."""
WIDEST_MARGIN = 256
"""Default margins stop here; a model that needs more is exact only when asked to be (`margin`)."""


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a user may choose about a plan; the defaults suit the model's card.

    Attributes:
        zoom: maxzoom; None takes the zoom nearest to the model's ground resolution.
        minzoom: lowest overview; None goes down to where the scene fits one tile.
        block_span: tiles along a side of a block.
        margin: pixels of context; None takes the model's own, at most `WIDEST_MARGIN`.
        stretch: how other numbers than 8-bit ones become such, see `geo2map.scene.stretch.parse_stretch`.
        match: "auto", "model" or "none".
        resampling: rasterio's name.
        format: of the tiles.
        force: allow a scene far coarser than the model, or a zoom far finer than the scene.
        aoi: where output is wanted: a vector file, bounds, or whatever else `geo2map.aoi.make_aoi` takes.
        clip: write only pixels inside the aoi; otherwise all of the tiles that it touches.
    """

    zoom: int | None = None
    minzoom: int | None = None
    block_span: int = 4
    margin: int | None = None
    stretch: str = "auto"
    match: Match = "auto"
    resampling: Resampling = "cubic"
    format: TileFormat = "png"
    force: bool = False
    aoi: AoiLike | None = None
    clip: bool = False

    def __post_init__(self) -> None:
        for name, value in (("zoom", self.zoom), ("minzoom", self.minzoom)):
            if value is not None and not 0 <= value <= grid.MAX_ZOOM:
                raise ZoomError(f"{name} {value} asked: give 0 to {grid.MAX_ZOOM}")
        parse_stretch(self.stretch)
        if self.block_span < 1:
            raise PlanError(f"block span {self.block_span} asked: give at least 1 tile")
        if self.clip and self.aoi is None:
            raise PlanError("clip asked, but there is nothing to clip to: give an area of interest")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be rendered. Blocks are derived, never stored.

    Attributes:
        name: of the scene.
        maxzoom, minzoom: the engine runs at maxzoom; the rest are overviews.
        window: global pixels at maxzoom that hold the scene, as far as the aoi reaches.
        block_span: tiles along a side of a block; blocks start on multiples of it.
        margin: pixels of context the model gets; 0 where nothing is translated.
        fill_radius, neutral: how pixels without data are filled, see `geo2map.fill`.
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


def make_plan(scene: Imagery, card: ModelCard, options: PlanOptions | None = None) -> Plan:
    """Decides everything about rendering a scene with a model.

    Raises:
        ResolutionError: the scene is far coarser than the model was trained for.
        ZoomError: a zoom that is out of range or only blows pixels up.
        SceneError: the scene's pixels cannot be sampled.
    """
    options = options or PlanOptions()
    zoom = choose_zoom(scene, card, options)
    plan = plan_window(card, options, name=scene.name, zoom=zoom, window=scene.window(zoom), sample=scene.sample())
    content = hashlib.sha256(f"{plan.content} {scene.arrangement}".encode()).hexdigest()[:16]
    return replace(plan, content=content, notes=(*scene.notes, _scale_note(scene, card, zoom), *plan.notes))


def plan_window(
    card: ModelCard,
    options: PlanOptions,
    *,
    name: str,
    zoom: int,
    window: PixelWindow,
    sample: npt.NDArray[np.generic],
) -> Plan:
    """Decides everything about translating a window of pixels at a zoom, whatever they come from.

    Args:
        sample: valid pixels from all over the window, (pixels, 3) in the source's type.
    """
    if options.match == "model" and card.colours is None:
        raise PlanError(f"match model asked, but the card of {card.name} has no colour statistics: leave --match out")
    rendition, distance = choose_rendition(sample, card, options)
    margin, margin_notes = choose_margin(card, options.margin)
    aoi = None if options.aoi is None else make_aoi(options.aoi)
    if aoi is not None:
        window = aoi.cut(window, zoom, options.clip, name)
    return Plan(
        name=name,
        maxzoom=zoom,
        minzoom=grid.one_tile_zoom(window, zoom) if options.minzoom is None else options.minzoom,
        window=window,
        block_span=options.block_span,
        margin=margin,
        fill_radius=FILL_RADIUS,
        neutral=card.neutral,
        rendition=rendition,
        resampling=options.resampling,
        format=options.format,
        model=f"{card.name} {card.fingerprint}",
        content=hashlib.sha256(sample.tobytes()).hexdigest()[:16],
        aoi=aoi,
        clip=options.clip,
        notes=(_match_note(rendition, distance, card), *margin_notes),
    )


def choose_zoom(scene: Imagery, card: ModelCard, options: PlanOptions) -> int:
    """The zoom asked for, or the one nearest to the model's ground resolution; refuses the hopeless."""
    coarser = scene.ground_resolution / card.ground_resolution
    if coarser > COARSEST and not options.force:
        raise ResolutionError(
            f"model {card.name} asked for {scene.name}, which resolves {scene.ground_resolution:.3g} m on the ground, "
            f"but the model was trained at {card.ground_resolution:.3g} m and cannot recognise anything: "
            "use finer imagery or another model, or pass --force"
        )
    if options.zoom is None:
        return grid.nearest_zoom(card.ground_resolution, scene.latitude)
    finest = math.floor(math.log2(grid.ground_resolution(0, scene.latitude) / scene.ground_resolution * FINEST))
    if options.zoom > finest and not options.force:
        raise ZoomError(
            f"zoom {options.zoom} asked, but {scene.name} resolves {scene.ground_resolution:.3g} m on the ground: "
            f"zoom {finest} is its finest useful zoom; lower --zoom, or pass --force to oversample"
        )
    return options.zoom


def choose_rendition(sample: npt.NDArray[np.generic], card: ModelCard, options: PlanOptions) -> tuple[Rendition, float]:
    """Stretch and match, and the distance to the model's colours; see `make_rendition`."""
    # the colours of a map are classes: nothing to match unless asked
    match = "none" if options.match == "auto" and card.direction == "b2a" else options.match
    return make_rendition(sample, card.colours, match, options.stretch)


def choose_margin(card: ModelCard, asked: int | None) -> tuple[int, tuple[str, ...]]:
    """The margin, and a warning where it does not make the output exact."""
    if not card.exact:
        if asked:
            raise PlanError(
                f"margin {asked} asked, but {card.name} translates each tile by itself (mode faithful), which has no "
                "margin: leave --margin out"
            )
        return 0, (
            f"warning: {card.name} translates each tile by itself (mode faithful): there are seams between its tiles",
        )
    margin = min(card.margin, WIDEST_MARGIN) if asked is None else asked
    if margin < 0 or margin % card.size_multiple:
        raise PlanError(f"margin {margin} asked: model {card.name} needs a multiple of {card.size_multiple} px")
    if margin < card.margin:
        return margin, (
            f"warning: {card.name} needs a margin of {card.margin} px for seamless output; with {margin} "
            f"px its seams are reduced, not absent (--margin {card.margin} removes them)",
        )
    return margin, ()


def _scale_note(scene: Imagery, card: ModelCard, zoom: int) -> str:
    resolution = grid.ground_resolution(zoom, scene.latitude)
    ratio = resolution / card.ground_resolution
    note = (
        f"zoom {zoom} is {resolution:.3g} m per pixel here, {card.name} was trained at {card.ground_resolution:.3g} m"
    )
    note += f" (scale mismatch {max(ratio, 1 / ratio):.2f})"
    if scene.ground_resolution > 1.5 * card.ground_resolution:
        note += f"; warning: the scene itself resolves only {scene.ground_resolution:.3g} m, expect a coarse map"
    return note


def _match_note(rendition: Rendition, distance: float, card: ModelCard) -> str:
    if card.colours is None:
        return f"colours of the imagery {card.name} was trained on are unknown: left alone"
    done = "matched to them" if rendition.curves else "left alone"
    imagery = "maps" if card.direction == "b2a" else "imagery"
    return f"colours are {distance:.0f} grey levels from the {imagery} {card.name} was trained on: {done}"
