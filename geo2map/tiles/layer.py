"""Layers: an output holds one or several sets of tiles of the same places, the map first.

Nothing outside this module depends on what a layer shows: a new kind is one function and a line in `LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from geo2map.colour.palette import Palette
from geo2map.grid.block import BlockImage
from geo2map.protocols import Codec, Prediction
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import TileCodec

MAP = "map"
"""The name of an output's first layer."""
ClassLegend = tuple[tuple[str, tuple[int, int, int]], ...]
"""Names and colours of a palette's entries; a class may have several."""
LayerPixels = Callable[[BlockImage, Prediction], BlockImage]
"""Picks a layer's pixels of a block, uint8 (H, W, 3), out of the imagery as the network sees it and its prediction;
all three without margin."""


@dataclass(frozen=True)
class Layer:
    """One set of tiles of an output.

    Attributes:
        name: `MAP`, or else the name of its folder beside the zooms and the word before a file's suffix.
        codec: encodes its tiles, and states by which rule overviews are made of them.
        pixels: picks its pixels.
        is_imagery: whether it shows the imagery, not what a model makes of it.
        legend: names and colours of the classes whose codes its pixels are; None of colours.
    """

    name: str
    codec: Codec
    pixels: LayerPixels
    is_imagery: bool = False
    legend: ClassLegend | None = None

    def without_loss(self) -> Layer:
        """The same with tiles that can be encoded again out of their pixels."""
        exact = self.codec.lossless or self.legend is not None
        return self if exact else replace(self, codec=TileCodec("png"))


def imagery_layer(legend: ClassLegend | None) -> Layer:  # noqa: ARG001
    """The imagery as the network sees it: small, with transparency."""
    return Layer("source", TileCodec("webp"), lambda imagery, _: imagery, is_imagery=True)


def class_layer(legend: ClassLegend | None) -> Layer:
    """Class codes of the map."""
    assert legend is not None, "the storage of a job is resolved"
    return Layer("classes", ClassCodec(Palette(legend)), lambda _, prediction: prediction.image, legend=legend)


LAYERS: dict[str, Callable[[ClassLegend | None], Layer]] = {"source": imagery_layer, "classes": class_layer}
"""Layers that an output may have besides the map, by name."""


def layer_path(path: Path, name: str, *, is_folder: bool) -> Path:
    """Where a layer of an output lies: in a folder beside the zooms, or in a file beside the file."""
    if name == MAP:
        return path
    return path / name if is_folder else path.with_name(f"{path.stem}.{name}{path.suffix}")
