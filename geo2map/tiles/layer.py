"""Layers: the tile sets of an output, all of the same area, the map first.

Only this module depends on the content of layers: a new one is a function and an entry in `LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geo2map.colour.palette import Palette
from geo2map.grid.block import BlockImage
from geo2map.protocols import Codec, Prediction, ScoreKind
from geo2map.tiles.classes import ClassCodec
from geo2map.tiles.codec import TileCodec, decode_tile
from geo2map.tiles.grey import GreyCodec
from geo2map.types import Mask

MAP = "map"
"""Name of an output's first layer."""
PERCENT_UNIT = "percent"
"""`Layer.unit` of a confidence."""
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
        score_kinds: what it shows of what a model's scores tell beside the map.
        legend: names and colours of its classes; None for colours.
        is_working: whether it is only kept while an output is made, at the largest zoom alone.
        unit: of its grey levels; "" for colours.
    """

    name: str
    codec: Codec
    pixels: LayerPixels | None
    is_imagery: bool = False
    score_kinds: frozenset[ScoreKind] = frozenset()
    legend: ClassLegend | None = None
    is_working: bool = False
    unit: str = ""

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


def evidence_layer(legend: ClassLegend | None) -> Layer:  # noqa: ARG001
    """Probabilities that the scores hold of what may be missing in the map, see `read_evidence`."""
    return Layer("evidence", TileCodec("png"), _evidence, score_kinds=frozenset({"probabilities"}))


def _evidence(_: BlockImage, prediction: Prediction) -> BlockImage:
    """Red and green, 255 x the probability of a road and of a building."""
    assert prediction.probabilities is not None, "layers say what they show of scores"
    none = np.zeros_like(prediction.probabilities[:1])
    return replace(prediction.image, pixels=np.concatenate((prediction.probabilities, none)).transpose(1, 2, 0))


def read_evidence(data: bytes) -> tuple[npt.NDArray[np.uint8], Mask]:
    """Decode a tile of the layer "evidence".

    Returns:
        255 x probability of road (highways included) and of building, uint8 (2, 256, 256), zero where invalid, and
        mask, bool (256, 256).

    Raises:
        TileSetError: not a tile.
    """
    pixels, mask = decode_tile(data)
    return pixels[..., :2].transpose(2, 0, 1), mask


def confidence_layer(legend: ClassLegend | None) -> Layer:  # noqa: ARG001
    """How likely the class drawn is the true one, in percent."""
    kinds = frozenset[ScoreKind]({"confidence"})
    return Layer("confidence", GreyCodec(), _confidence, score_kinds=kinds, unit=PERCENT_UNIT)


def _confidence(_: BlockImage, prediction: Prediction) -> BlockImage:
    return replace(prediction.image, pixels=_told(prediction)[..., None].repeat(3, axis=2))


def _told(prediction: Prediction) -> npt.NDArray[np.uint8]:
    assert prediction.confidence is not None, "layers say what they show of scores"
    return prediction.confidence


def confident(layer: Layer, least: int) -> Layer:
    """The layer without the pixels whose confidence is below `least` percent."""

    def pixels(imagery: BlockImage, prediction: Prediction) -> BlockImage:
        assert layer.pixels is not None, "only layers that blocks are rendered as"
        shown = layer.pixels(imagery, prediction)
        return replace(shown, mask=shown.mask & (_told(prediction) >= least))

    return replace(layer, pixels=pixels, score_kinds=layer.score_kinds | {"confidence"})


LAYERS: dict[str, Callable[[ClassLegend | None], Layer]] = {
    "source": imagery_layer,
    "classes": class_layer,
    "evidence": evidence_layer,
    "confidence": confidence_layer,
}
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
