"""A layer that geo2map has not: how bright the imagery is under each pixel of the map, in grey. All that it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geo2map.grid.block import BlockImage
from geo2map.protocols import Prediction
from geo2map.tiles.codec import TileCodec
from geo2map.tiles.layer import ClassLegend, Layer

NAME = "brightness"


def grey(imagery: BlockImage, prediction: Prediction) -> BlockImage:
    """The mean of red, green and blue, uint8, in all three bands."""
    mean = imagery.pixels.mean(axis=2, keepdims=True).round().astype(np.uint8)
    return replace(prediction.image, pixels=mean.repeat(3, axis=2))


def brightness_layer(legend: ClassLegend | None) -> Layer:  # noqa: ARG001
    """A line in `geo2map.tiles.layer.LAYERS` brings it into every output."""
    return Layer(NAME, TileCodec("png"), grey)
