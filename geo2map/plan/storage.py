"""How the tiles of an output are stored: nothing here changes what the network sees or says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from geo2map.colour.colours import load_colours, maps_colours
from geo2map.colour.palette import Palette
from geo2map.colour.snap import Snap
from geo2map.errors import DataError, ZoomError
from geo2map.grid.raster import RasterGrid
from geo2map.grid.window import MAX_ZOOM, one_tile_zoom
from geo2map.plan.value import Plan
from geo2map.protocols import Codec
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import TileCodec, require_encoding
from geo2map.tiles.indexed import IndexedCodec
from geo2map.tiles.layer import LAYERS, MAP, ClassLegend, Layer
from geo2map.types import Compression, Scheme, TileFormat

_ADDRESS = re.compile(r"(https?|file)://[^\s?#\"'<>{}]+")
PRESENTATION = ("address", "bare", "compress", "grid", "crs_out", "resolution")
"""Fields that decide documents and files made of the tiles, and no tile."""
_Colours = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Format and overviews of an output. A value.

    Attributes:
        format: of the tiles; None is PNG.
        minzoom: lowest overview; None goes down to where the scene fits one tile.
        palette: the only colours that tiles may have, at most 255, stored as indexed PNG: "maps" for those of the maps
            pictures, a JSON file of colours, or the colours; None keeps what the network drew. PNG only.
        compress: of a GeoTIFF, without loss: "deflate", "zstd" or "webp"; None is deflate.
        scheme: how the files of a folder count rows: "xyz" from the north, "tms" from the south.
        grid: of a GeoTIFF: "scene" for the scene's own pixels, or where its pixels lie; None is the tiles'.
        crs_out, resolution: of a GeoTIFF that is not to lie on the tiles' grid: its CRS (None is the scene's), and the
            width of a pixel in the CRS's units (None is the map's on the ground, or the scene's where that is wider).
        classes: keep which class a pixel is, not its colour.
        legend: names and colours of the classes, taken from the model where a layer needs them.
        quality: of WebP, JPEG or AVIF tiles, 1 to 100; None is the format's own.
        lossless: WebP tiles without loss.
        bare: leave out the files that make a folder of tiles open by itself: the page, the QGIS layer, the provenance.
        address: of a folder: the absolute URL under which others will find it, for tiles.xml; None leaves that out.
        layers: further sets of tiles of the same places, by the names of `geo2map.tiles.layer.LAYERS`.
        exact_layers: keep further layers without loss, as a raster does.
        with_source: shorthand for the layer "source", the imagery as the network sees it.

    Raises:
        ZoomError: a minzoom that is out of range.
        DataError: no list of colours, a palette for another format than PNG, or an encoding that the format has not.
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
    address: str | None = None
    quality: int | None = None
    lossless: bool = False

    def __post_init__(self, with_source: bool) -> None:
        names = (*self.layers, *(["source"] if with_source else []))
        object.__setattr__(self, "layers", tuple(dict.fromkeys(names)))
        if unknown := [name for name in self.layers if name not in LAYERS]:
            raise DataError(
                f"layer {unknown[0]!r}: not a layer; choose from {', '.join(LAYERS)}", option="layers", usage=True
            )
        if self.minzoom is not None and not 0 <= self.minzoom <= MAX_ZOOM:
            raise ZoomError(f"minzoom {self.minzoom} is out of range: give 0 to {MAX_ZOOM}", option="minzoom")
        object.__setattr__(self, "palette", _colours(self.palette))
        if self.palette is not None and self.format not in (None, "png"):
            raise DataError(
                f"a palette needs PNG tiles, not {self.format}: leave out one of them", option="palette", usage=True
            )
        require_encoding(self.format or "png", self.quality, self.lossless)
        if self.grid not in (None, "scene"):
            object.__setattr__(self, "grid", RasterGrid.of(self.grid))
        if self.resolution is not None and not 0 < self.resolution < float("inf"):
            raise DataError(
                f"resolution {self.resolution} is not a pixel width: give a positive number",
                option="resolution",
                usage=True,
            )
        self._check_classes()
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise DataError(
                f"{self.address} is not an address: give one such as https://maps.example/town",
                option="address",
                usage=True,
            )
        if self.scheme not in get_args(Scheme):
            raise DataError(f"scheme {self.scheme!r} is not known: give xyz or tms", option="scheme", usage=True)
        if self.compress not in (None, *get_args(Compression)):
            known = ", ".join(get_args(Compression))
            raise DataError(
                f"compression {self.compress!r} is not known: give one of {known}", option="compress", usage=True
            )
        if self.palette is not None and self.compress == "webp":
            raise DataError(
                "WebP has no palette: choose deflate or zstd, or leave the palette out", option="compress", usage=True
            )

    def _check_classes(self) -> None:
        if self.legend is not None:
            entries = tuple((str(name), (int(r), int(g), int(b))) for name, (r, g, b) in self.legend)
            object.__setattr__(self, "legend", entries)
        if not self.classes:
            return
        if self.palette is not None or self.format not in (None, "png") or self.compress == "webp":
            said = "classes are written as PNG or as a .tif with deflate or zstd: leave palette, format, WebP out"
            raise DataError(said, option="classes", usage=True)

    @property
    def needs_legend(self) -> bool:
        """Whether some layer is written as class codes."""
        return self.classes or "classes" in self.layers

    @property
    def tile_layers(self) -> tuple[Layer, ...]:
        """The layers of the output, the map first; the storage must be resolved."""
        legend = self.legend if self.classes else None
        first = Layer(MAP, self.codec, lambda _, prediction: prediction.image, legend=legend)
        further = (LAYERS[name](self.legend) for name in self.layers)
        return first, *(layer.without_loss() if self.exact_layers else layer for layer in further)

    @property
    def wants_grid(self) -> bool:
        """Whether a raster is to lie elsewhere than on the tiles' grid."""
        return any(asked is not None for asked in (self.grid, self.crs_out, self.resolution))

    @property
    def codec(self) -> Codec:
        """How tiles become bytes."""
        if self.classes and self.legend is not None:
            return _make_class_codec(self.legend)
        if self.palette is None:
            return TileCodec(self.format or "png", self.quality, self.lossless and self.format == "webp")
        return _make_codec(self.palette)

    def resolve(self, plan: Plan) -> Storage:
        """The same with nothing left open, for the output of a plan.

        Raises:
            ZoomError: minzoom is above the plan's zoom.
        """
        minzoom = one_tile_zoom(plan.window, plan.maxzoom) if self.minzoom is None else self.minzoom
        if minzoom > plan.maxzoom:
            raise ZoomError(f"minzoom {minzoom} is above the map's zoom {plan.maxzoom}: lower it", option="minzoom")
        return replace(self, format=self.codec.format, minzoom=minzoom)

    def levels(self, plan: Plan) -> int:
        """Zooms of overviews that are made with each block; the storage must be resolved."""
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
    """The codec of a palette has a table of all colours, so it is made once."""
    return IndexedCodec(Snap(palette))


@lru_cache(maxsize=4)
def _make_class_codec(legend: ClassLegend) -> Codec:
    return ClassCodec(Palette(legend))
