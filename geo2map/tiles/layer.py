"""Layers: the tile sets of an output, all of the same area, the map first.

Only this module depends on the content of layers: a new one is a function and an entry in `LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from geo2map.colour.palette import Palette
from geo2map.grid.block import BlockImage
from geo2map.protocols import Codec, Prediction
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import TileCodec

MAP = "map"
"""Name of an output's first layer."""
ClassLegend = tuple[tuple[str, tuple[int, int, int]], ...]
"""Names and colours of palette entries; a class may have several."""
LayerPixels = Callable[[BlockImage, Prediction], BlockImage]
"""Selects the pixels of a layer, uint8 (H, W, 3), from the network input and its prediction; all without margin."""


@dataclass(frozen=True)
class Layer:
    """One tile set of an output.

    Attributes:
        name: `MAP`, or the name of its folder beside the zooms and the infix before a file's suffix.
        codec: encodes its tiles, and defines how overviews are computed.
        pixels: selects its pixels; None where tiles are made from features at the end.
        is_imagery: whether it shows imagery instead of a prediction.
        legend: names and colours of its classes; None for colours.
        is_working: whether it is only kept while an output is made, at the largest zoom alone.
    """

    name: str
    codec: Codec
    pixels: LayerPixels | None
    is_imagery: bool = False
    legend: ClassLegend | None = None
    is_working: bool = False

    def without_loss(self) -> Layer:
        """The same layer with tiles that can be re-encoded from their pixels."""
        exact = self.codec.lossless or self.legend is not None
        return self if exact else replace(self, codec=TileCodec("png"))


def imagery_layer(legend: ClassLegend | None) -> Layer:  # noqa: ARG001
    """The imagery as fed to the network: small, with transparency."""
    return Layer("source", TileCodec("webp"), lambda imagery, _: imagery, is_imagery=True)


def class_layer(legend: ClassLegend | None) -> Layer:
    """Class codes of the map."""
    assert legend is not None, "the storage of a job is resolved"
    return Layer("classes", ClassCodec(Palette(legend)), lambda _, prediction: prediction.image, legend=legend)


LAYERS: dict[str, Callable[[ClassLegend | None], Layer]] = {"source": imagery_layer, "classes": class_layer}
"""Further layers of an output, by name."""


def viewed_layers(layers: Iterable[Layer]) -> dict[str, Layer]:
    """Layers that a viewer offers, by name: those of an output, and the imagery to compare the map with."""
    found, imagery = {layer.name: layer for layer in layers}, imagery_layer(None)
    found.setdefault(imagery.name, imagery)
    return found


def layer_path(path: Path, name: str, *, is_folder: bool) -> Path:
    """Path of a layer: a folder beside the zooms, or a file beside the file."""
    if name == MAP:
        return path
    return path / name if is_folder else path.with_name(f"{path.stem}.{name}{path.suffix}")
