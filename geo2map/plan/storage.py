"""How the tiles of an output are stored; does not affect the network or its predictions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from geo2map.colour.colours import load_colours, maps_colours
from geo2map.colour.palette import Palette
from geo2map.colour.quantizer import PaletteQuantizer
from geo2map.errors import DataError, ZoomError
from geo2map.features import Style
from geo2map.grid.raster import RasterGrid
from geo2map.grid.window import MAX_ZOOM, PixelWindow, one_tile_zoom
from geo2map.plan.value import Plan
from geo2map.protocols import Codec, ScoreKind
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import TileCodec, require_encoding
from geo2map.tiles.indexed import IndexedCodec
from geo2map.tiles.layer import LAYERS, MAP, ClassLegend, Layer, confident
from geo2map.tiles.mvt import VectorCodec
from geo2map.types import Compression, Scheme, TileFormat

_ADDRESS = re.compile(r"(https?|file)://[^\s?#\"'<>{}]+")
PRESENTATION = ("address", "bare", "compress", "grid", "crs_out", "resolution")
"""Fields that affect documents and files built from tiles, but no tile."""
CLASSES, SCORES = "classes", "evidence"
"""Layers that features are read from; scores where the model has some."""
_Colours = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Formats, layers and overviews of an output. A value.

    Attributes:
        format: tile format; None is PNG.
        minzoom: lowest overview; None goes down as `lowest_zoom` says.
        palette: quantizes tiles to at most 255 colours, stored as indexed PNG: "maps" for those of the maps data set,
            a JSON file of colours, or the colours; None keeps the network's colours. PNG only.
        compress: lossless compression of a GeoTIFF: "deflate", "zstd" or "webp"; None is deflate.
        scheme: row order of a folder's files: "xyz" from the north, "tms" from the south.
        grid: pixel grid of a GeoTIFF: "scene" for the scene's, or any other; None is the tiles'.
        crs_out, resolution: CRS (None is the scene's) and pixel width in its units (None is the map's on the ground, or
            the scene's if wider) of a GeoTIFF on another grid than the tiles'.
        classes: store class codes instead of colours.
        legend: names and colours of the classes, taken from the model if a layer needs them.
        quality: 1 to 100 for WebP, JPEG or AVIF tiles; None is the format's default.
        lossless: lossless WebP tiles.
        bare: omit the files for viewing a folder of tiles: the web page, the QGIS layer, the provenance.
        address: public URL of a folder, for tiles.xml; None omits that.
        layers: further layers, by the names of `geo2map.tiles.layer.LAYERS`.
        exact_layers: store further layers losslessly, as rasters need.
        vector: store features instead of pixels: vector tiles, or a vector file.
        redraw: draw the tiles from features.
        style: of features, by name, from a file or as a value: how they are drawn, and shown by QGIS; None takes the
            colours of the legend.
        scored: whether features are read from the model's scores, too; set when a model is known.
        with_source: shorthand for the layer "source", the imagery as fed to the network.
        with_confidence: shorthand for the layer "confidence".
        min_confidence: percent; pixels of the map, and of its classes, of less confidence are transparent.

    Raises:
        ZoomError: minzoom is out of range.
        DataError: invalid colours, a palette for another format than PNG, or an option that the format lacks.
    """

    format: TileFormat | None = None
    minzoom: int | None = None
    palette: str | Path | Sequence[Sequence[int]] | None = None
    bare: bool = False
    compress: Compression | None = None
    scheme: Scheme = "xyz"
    classes: bool = False
    legend: ClassLegend | None = None
    grid: Literal["scene"] | RasterGrid | None = None
    crs_out: str | None = None
    resolution: float | None = None
    layers: tuple[str, ...] = ()
    exact_layers: bool = False
    with_source: InitVar[bool] = False
    with_confidence: InitVar[bool] = False
    min_confidence: int | None = None
    address: str | None = None
    quality: int | None = None
    lossless: bool = False
    vector: bool = False
    redraw: bool = False
    style: str | Path | Style | None = None
    scored: bool = False

    def __post_init__(self, with_source: bool, with_confidence: bool) -> None:
        short = {"source": with_source, "confidence": with_confidence}
        names = (*self.layers, *(name for name, wanted in short.items() if wanted))
        object.__setattr__(self, "layers", tuple(dict.fromkeys(names)))
        if unknown := [name for name in self.layers if name not in LAYERS]:
            raise DataError(
                f"layer {unknown[0]!r}: not a layer; choose from {', '.join(LAYERS)}", option="layers", usage=True
            )
        if self.minzoom is not None and not 0 <= self.minzoom <= MAX_ZOOM:
            raise ZoomError(f"minzoom {self.minzoom}: out of range; give 0 to {MAX_ZOOM}", option="minzoom")
        object.__setattr__(self, "palette", _colours(self.palette))
        if self.palette is not None and self.format not in (None, "png"):
            raise DataError(
                f"palette: needs PNG tiles, not {self.format}; leave out one of them", option="palette", usage=True
            )
        require_encoding(self.format or "png", self.quality, self.lossless)
        if self.grid not in (None, "scene"):
            object.__setattr__(self, "grid", RasterGrid.of(self.grid))
        if self.resolution is not None and not 0 < self.resolution < float("inf"):
            raise DataError(
                f"resolution {self.resolution}: must be positive; give a pixel width",
                option="resolution",
                usage=True,
            )
        self._check_classes()
        self._check_features()
        self._check_confidence()
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise DataError(
                f"address {self.address}: not an absolute URL; give e.g. https://maps.example/town",
                option="address",
                usage=True,
            )
        if self.scheme not in get_args(Scheme):
            raise DataError(f"scheme {self.scheme!r}: unknown; give xyz or tms", option="scheme", usage=True)
        self._check_compression()

    def _check_compression(self) -> None:
        if self.compress not in (None, *get_args(Compression)):
            known = ", ".join(get_args(Compression))
            raise DataError(
                f"compression {self.compress!r}: unknown; give one of {known}", option="compress", usage=True
            )
        if self.palette is not None and self.compress == "webp":
            raise DataError(
                "compress webp: has no palette; choose deflate or zstd, or omit the palette",
                option="compress",
                usage=True,
            )

    def _check_confidence(self) -> None:
        least = self.min_confidence
        if least is not None and not 0 < least <= 100:
            said = f"min_confidence {least}: out of range; give 1 to 100 percent"
            raise DataError(said, option="min_confidence", usage=True)
        if least is not None and self.is_derived:
            said = "min_confidence: hides pixels, and features are made of all; leave out one of them"
            raise DataError(said, option="min_confidence", usage=True)

    def _check_classes(self) -> None:
        if self.legend is not None:
            entries = tuple((str(name), (int(r), int(g), int(b))) for name, (r, g, b) in self.legend)
            object.__setattr__(self, "legend", entries)
        if not self.classes:
            return
        if self.palette is not None or self.format not in (None, "png") or self.compress == "webp":
            said = "classes: written as PNG, or as a .tif with deflate or zstd; leave out palette, format and WebP"
            raise DataError(said, option="classes", usage=True)

    def _check_features(self) -> None:
        if self.style is not None:
            object.__setattr__(self, "style", Style.of(self.style))
        if self.vector and self.redraw:
            raise DataError("vector and redraw: give one of them", option="redraw", usage=True)
        if self.is_derived and self.classes:
            said = "classes: features are drawn in colours, or stored as they are; leave out one of them"
            raise DataError(said, option="classes", usage=True)
        if self.vector and (self.format not in (None, "mvt") or self.palette is not None):
            option = "palette" if self.palette is not None else "format"
            raise DataError(f"{option}: vector tiles have no pixels; leave it out", option=option, usage=True)

    @property
    def needs_legend(self) -> bool:
        """Whether any layer stores class codes."""
        return self.classes or "classes" in self.layers or self.is_derived

    @property
    def is_derived(self) -> bool:
        """Whether the map's tiles are made from features, after all blocks are rendered."""
        return self.vector or self.redraw

    @property
    def feature_style(self) -> Style | None:
        """How features are drawn; None takes the colours of the map's legend."""
        return None if self.style is None else Style.of(self.style)

    @property
    def score_kinds(self) -> frozenset[ScoreKind]:
        """What the layers show of what the model's scores tell; the storage must be resolved."""
        return frozenset[ScoreKind]().union(*(layer.score_kinds for layer in self.block_layers))

    @property
    def tile_layers(self) -> tuple[Layer, ...]:
        """The layers of the output, the map first; the storage must be resolved."""
        legend = self.legend if self.classes else None
        pixels = None if self.is_derived else lambda _, prediction: prediction.image
        first = Layer(MAP, self.codec, pixels, legend=legend)
        further = (LAYERS[name](self.legend) for name in self.layers)
        layers = (first, *(layer.without_loss() if self.exact_layers else layer for layer in further))
        if self.min_confidence is None:
            return layers
        drawn = (MAP, CLASSES)
        return tuple(confident(layer, self.min_confidence) if layer.name in drawn else layer for layer in layers)

    @property
    def block_layers(self) -> tuple[Layer, ...]:
        """The layers that blocks are rendered as: those of the output, and those that its features are read from."""
        made = tuple(layer for layer in self.tile_layers if layer.pixels is not None)
        needed = (CLASSES, SCORES) if self.scored else (CLASSES,)
        missing = [name for name in needed if self.is_derived and name not in self.layers]
        return *made, *(replace(LAYERS[name](self.legend), is_working=True) for name in missing)

    @property
    def has_own_grid(self) -> bool:
        """Whether a raster is on another grid than the tiles'."""
        return not self.vector and bool(self.grid_options)

    @property
    def grid_options(self) -> tuple[str, ...]:
        """The options given that put the output on another grid, or into another CRS."""
        return tuple(name for name in ("grid", "crs_out", "resolution") if getattr(self, name) is not None)

    @property
    def codec(self) -> Codec:
        """The codec of the map."""
        if self.vector:
            return VectorCodec()
        if self.classes and self.legend is not None:
            return _make_class_codec(self.legend)
        if self.palette is None:
            return TileCodec(self.format or "png", self.quality, self.lossless and self.format == "webp")
        return _make_codec(self.palette)

    def resolve(self, plan: Plan) -> Storage:
        """The same with all defaults resolved for a plan.

        Raises:
            ZoomError: minzoom is above the plan's zoom.
        """
        minzoom = self.lowest_zoom(plan.window, plan.maxzoom)
        if minzoom > plan.maxzoom:
            raise ZoomError(f"minzoom {minzoom}: above the map's zoom {plan.maxzoom}; lower it", option="minzoom")
        return replace(self, format=self.codec.format, minzoom=minzoom)

    def lowest_zoom(self, window: PixelWindow, zoom: int) -> int:
        """The lowest overview of a map: as asked, else where the map fits one tile.

        Vector tiles begin a zoom lower: clients show one on 512 px, more than a phone is wide, and nothing below the
        lowest zoom.

        Args:
            window: global pixels of the map at its `zoom`.
        """
        if self.minzoom is not None:
            return self.minzoom
        return max(0, one_tile_zoom(window, zoom) - self.vector)

    def levels(self, plan: Plan) -> int:
        """Zooms of overviews built with each block; the storage must be resolved."""
        return min(plan.block_levels, plan.maxzoom - (self.minzoom or 0))


def _colours(palette: str | Path | Sequence[Sequence[int]] | None) -> _Colours | None:
    if palette is None or palette == "none":
        return None
    colours: Any = palette
    if isinstance(palette, str | Path):
        colours = maps_colours() if palette == "maps" else load_colours(palette)
    return tuple((int(red), int(green), int(blue)) for red, green, blue in colours)


@lru_cache(maxsize=4)
def _make_codec(palette: _Colours) -> Codec:
    """Cached: the codec of a palette holds a table of all colours."""
    return IndexedCodec(PaletteQuantizer(palette))


@lru_cache(maxsize=4)
def _make_class_codec(legend: ClassLegend) -> Codec:
    return ClassCodec(Palette(legend))
