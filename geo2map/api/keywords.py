"""The keywords of the public calls, typed and described once, and sorted into the values that they are fields of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar

from geo2map.aoi import AoiLike
from geo2map.colour.transform import ColourTransform
from geo2map.features import Style
from geo2map.grid.raster import RasterGrid
from geo2map.scene.options import ReadingKeywords
from geo2map.tiles.layer import ClassLegend
from geo2map.types import Compression, Match, OnError, Resampling, Scheme, TileFormat

_T = TypeVar("_T")


class RenderKeywords(ReadingKeywords, total=False):
    """The options of `geo2map.render` and its kin: the fields of `geo2map.scene.ReadingOptions`,
    `geo2map.PlanOptions`, `geo2map.plan.Storage` and `geo2map.ledger.OutputOptions`, and `on_error`."""

    zoom: int | None
    """Zoom to render at; None takes the one nearest to the model's ground resolution."""
    block_span: int
    """Tiles along a side of a block, a power of two."""
    margin: int | None
    """Pixels of context around a block; None takes the model's."""
    rendition: ColourTransform | None
    """Colours decided elsewhere, e.g. those of a map to match; None decides them."""
    stretch: str
    """Conversion of wider data to 8 bits: "auto", "none", "minmax", "percentile:2,98" or "LOW,HIGH"."""
    match: Match
    """Match the scene's colours to the model's training imagery: "auto", "model" or "none"."""
    resampling: Resampling
    """Kernel of the warp, by rasterio's name."""
    force: bool
    """Allow a scene far coarser than the model, or a zoom far finer than the scene."""
    aoi: AoiLike | None
    """Area of interest: a vector file, bounds in degrees, a geometry."""
    clip: bool
    """Write only pixels inside the area of interest, not whole tiles."""

    format: TileFormat | None
    """Tile format; None is PNG."""
    quality: int | None
    """Quality of WebP, JPEG or AVIF tiles, 1 to 100."""
    lossless: bool
    """Lossless WebP tiles."""
    minzoom: int | None
    """Lowest overview; None goes down to where the scene fits one tile."""
    palette: str | Path | Sequence[Sequence[int]] | None
    """Snap to these colours, stored as indexed PNG: "maps", a JSON file, or the colours."""
    classes: bool
    """Store the class of each pixel instead of its colour."""
    vector: bool
    """Store features, not pixels: vector tiles. Vector files always do."""
    redraw: bool
    """Draw the tiles from features: even streets, closed gaps, square corners."""
    style: str | Path | Style | None
    """How features are drawn: "maps", "dark", "print", or a JSON file; None takes the colours of the model's legend."""
    compress: Compression | None
    """GeoTIFF compression (lossless)."""
    grid: Literal["scene"] | RasterGrid | None
    """Pixel grid of a GeoTIFF: "scene" for the scene's; None is the tiles'."""
    crs_out: str | None
    """CRS of a GeoTIFF; None is web-mercator."""
    resolution: float | None
    """Pixel width of a GeoTIFF in another CRS, in its units."""
    scheme: Scheme
    """Row order of a folder of tiles: "xyz" from the north, "tms" from the south."""
    bare: bool
    """Leave out the page, the QGIS layer and the provenance."""
    layers: tuple[str, ...]
    """Further sets of tiles of the same places: "source" (the imagery), "classes" (class codes), "confidence" (how sure
    the model is, percent), "evidence" (probabilities of roads and buildings)."""
    exact_layers: bool
    """Keep further layers without loss."""
    with_source: bool
    """Shorthand for the layer "source"."""
    with_confidence: bool
    """Shorthand for the layer "confidence"."""
    min_confidence: int | None
    """Percent: pixels of the map of less confidence are transparent; None keeps all."""
    legend: ClassLegend | None
    """Names and colours of the classes; None takes the model's."""
    address: str | None
    """Public URL of a folder of tiles, for tiles.xml."""
    scored: bool
    """Read features from the model's scores, too; set when the model is known."""

    overwrite: bool
    """Replace an existing output."""
    resume: bool
    """Resume an interrupted run of the same job; False deletes its partial results."""
    tmp: str | Path | None
    """Working folder for one-file outputs; None is beside the output."""
    on_error: OnError
    """"skip" leaves out blocks that cannot be read; "fail" stops."""


class ShardKeywords(RenderKeywords, total=False):
    """The options of a job for many machines."""

    shard_zoom: int | None
    """Zoom of the tiles that the shards lie below; None is six above the map's, fewer for small maps."""


class ServeKeywords(RenderKeywords, total=False):
    """The options of a live map: those of a render, the fields of `geo2map.live.LiveOptions`, and where it is kept and
    served."""

    keep: str | Path | None
    """Output that collects the blocks made on demand, for a later `geo2map.render` to complete."""
    under: str | Path | None
    """Finished tiles for zooms too low to render on demand."""
    token: str | None
    """Word that every request must carry."""
    queue: int
    """Blocks that may wait to be rendered."""
    cache: int
    """MiB of finished tiles in memory."""


class ConvertKeywords(TypedDict, total=False):
    """The options of `geo2map.convert`."""

    bounds: tuple[float, float, float, float] | None
    """West, south, east, north in degrees: tiles that touch them are taken whole; None takes all."""
    zooms: tuple[int, int] | None
    """Lowest and largest zoom; None takes all."""
    format: TileFormat | None
    """Tile format; None keeps the tiles' bytes."""
    quality: int | None
    """Quality of WebP, JPEG or AVIF tiles, 1 to 100; all tiles are encoded again."""
    lossless: bool
    """Lossless WebP tiles; all tiles are encoded again."""
    scheme: Scheme
    """Row order of a folder of tiles: "xyz" from the north, "tms" from the south."""
    compress: Compression | None
    """GeoTIFF compression (lossless)."""
    vector: bool
    """Vector tiles of the features; vector files always hold features."""
    redraw: bool
    """Draw the tiles from features: even streets, closed gaps, square corners."""
    style: str | Path | Style | None
    """How features are drawn: "maps", "dark", "print", or a JSON file; None takes the colours of the map's legend."""
    crs_out: str | None
    """CRS of a vector file; None is WGS 84."""
    colours: str | Path | None
    """Which colour is which class, where the map does not say: "maps", or a table of class, red, green, blue."""
    bare: bool
    """Leave out the page, the QGIS layer and the provenance."""
    overwrite: bool
    """Replace an existing output."""
    tmp: str | Path | None
    """Working folder for one-file outputs; None is beside the output."""


class DrawKeywords(TypedDict, total=False):
    """The options of `geo2map.draw`."""

    zoom: int | None
    """Zoom to draw at; None is the map's."""
    style: str | Path | Style | None
    """How features are drawn: "maps", "dark", "print", or a JSON file; None takes the colours of the map's legend."""
    format: TileFormat | None
    """Tile format; None is PNG."""
    quality: int | None
    """Quality of WebP, JPEG or AVIF tiles, 1 to 100."""
    lossless: bool
    """Lossless WebP tiles."""
    minzoom: int | None
    """Lowest overview; None goes down to where the map fits one tile."""
    palette: str | Path | Sequence[Sequence[int]] | None
    """Snap to these colours, stored as indexed PNG: "maps", a JSON file, or the colours."""
    compress: Compression | None
    """GeoTIFF compression (lossless)."""
    scheme: Scheme
    """Row order of a folder of tiles: "xyz" from the north, "tms" from the south."""
    bare: bool
    """Leave out the page, the QGIS layer and the provenance."""
    overwrite: bool
    """Replace an existing output."""
    tmp: str | Path | None
    """Working folder for one-file outputs; None is beside the output."""


def require_known(options: Mapping[str, object], known: type) -> None:
    """
    Args:
        known: a TypedDict.

    Raises:
        TypeError: an option that it lacks; names the nearest.
    """
    names: frozenset[str] = known.__optional_keys__  # type: ignore[attr-defined]
    for name in options:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise TypeError(f"unknown option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def pick_options(kind: type[_T], options: Mapping[str, Any]) -> _T:
    """The value of a dataclass whose parameters are given among others.

    Raises:
        Geo2MapError: a value that makes no sense.
    """
    return kind(**{name: options[name] for name in signature(kind).parameters if name in options})
