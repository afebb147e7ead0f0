"""A model as an ONNX file, for other programs: the network alone, for tiles of one size."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geo2map.engine.network import load_network
from geo2map.errors import ModelFileError, SetupError
from geo2map.files.atomic import write_whole
from geo2map.model import ModelCard, load_card

LARGEST_OVERLAP = 40
"""Percent of a tile's side that neighbours may share before the tile is made larger."""
SMALLEST_TILE, LARGEST_TILE = 256, 2048


class _Levels(nn.Module):
    """A network of numbers from 0 to 1 instead of -1 to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        values: Tensor = self.network(image * 2 - 1)
        return (values.clamp(-1, 1) + 1) / 2


def write_onnx(model: Path, out: Path, *, tile: int | None = None) -> int:
    """Writes a model's network as an ONNX file: "image", float32 (1, 3, tile, tile) RGB in [0, 1], to "map", the same.

    Tiles have to overlap by the margin on each side, as in the file's metadata, and to be cut: the network alone knows
    nothing of its surroundings. Metadata have the keys that Deepness reads, and the model's card.

    Args:
        model: a model file.
        out: replaced if it exists.
        tile: side of a tile, px; None is the smallest power of two that the margins leave most of.

    Returns:
        The side of a tile.

    Raises:
        ModelFileError: the network takes noise, or the side does not fit it.
        SetupError: onnx or onnxscript is not installed.
        OutputError: `out` cannot be written.
    """
    card = load_card(model)
    if card.noise:
        raise ModelFileError(
            f"{card.name} takes {card.noise} bands of noise that depend on the place, which an ONNX file cannot make; "
            "choose another model"
        )
    tile = _tile_size(card) if tile is None else tile
    if tile % card.size_multiple or tile <= 2 * card.margin:
        raise ModelFileError(
            f"tile {tile}: does not fit {card.name}; give a multiple of {card.size_multiple} above {2 * card.margin}",
            option="tile",
        )
    program = _exported(_Levels(load_network(model, card)), tile)
    for key, value in _metadata(card, tile).items():
        program.metadata_props.add(key=key, value=value)
    write_whole(out, program.SerializeToString(deterministic=True))
    return tile


def _tile_size(card: ModelCard) -> int:
    side = SMALLEST_TILE
    while 2 * card.margin > side * LARGEST_OVERLAP // 100 and side < LARGEST_TILE:
        side *= 2
    return max(side, card.size_multiple)


def _exported(network: nn.Module, tile: int) -> Any:
    """The network as an `onnx.ModelProto`."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SetupError('ONNX files need onnx and onnxscript; pip install "geo2map[onnx]"') from error
    example = torch.zeros(1, 3, tile, tile)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), _quiet():  # the exporter prints its steps
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=["map"],
            external_data=False,
        )
    assert program is not None, "the new exporter returns a program"
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter logs what it does not need: torchvision."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _metadata(card: ModelCard, tile: int) -> dict[str, str]:
    """What Deepness and GeoDeep read, each as JSON, and the card."""
    overlap = -(-200 * card.margin // tile)  # percent, rounded up
    facts = {
        "model_type": "Regressor",
        "resolution": round(100 * card.ground_resolution, 3),
        "tile_size": tile,
        "tiles_size": tile,
        "tiles_overlap": overlap,
        "class_names": {"0": "red", "1": "green", "2": "blue"},
        "reg_output_scaling": 255.0,
    }
    return {key: json.dumps(value) for key, value in facts.items()} | {"geo2map": card.to_json()}
