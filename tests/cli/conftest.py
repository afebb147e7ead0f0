"""The command run in this process, a model of no quality that is quick, and scenes of a few hundred pixels."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from affine import Affine
from geo2map_cli.main import main
from rasters import noise, write_raster

from geo2map.colour import ColourStatistics
from geo2map.families.unet.generator import UNetGenerator
from geo2map.model import save_model
from geo2map.testing import make_card


class Result(NamedTuple):
    """What a command did; `err` holds what C libraries print, too."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
SceneWriter = Callable[..., Path]


@pytest.fixture
def geo2map(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs `geo2map ARGUMENTS`."""
    root = logging.getLogger()
    handlers, level, on_term = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["geo2map", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Result(code, *capfd.readouterr())

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    signal.signal(signal.SIGTERM, on_term)


@pytest.fixture
def write_scene(tmp_path: Path) -> SceneWriter:
    """Writes a GeoTIFF into the test's folder; by default RGB noise of 300 x 280 px at 0.9 m in UTM 18N."""

    def write(name: str, pixels: np.ndarray | None = None, **profile: Any) -> Path:
        if pixels is None:
            pixels = noise(3, 280, 300)
        place = {"crs": "EPSG:32618", "transform": Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)}
        return write_raster(tmp_path / name, pixels, **place | profile)

    return write


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with random weights: depth 4, margin 32, a few ms a tile."""
    torch.manual_seed(0)
    config = {"widths": [8, 8, 8, 8]}
    network = UNetGenerator(**config)
    noise = np.random.default_rng(0).integers(1, 255, (10_000, 3), dtype=np.uint8)
    card = make_card(
        name="tiny",
        config=config,
        margin=network.margin,
        size_multiple=network.size_multiple,
        colours=ColourStatistics.of(noise),
    )
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, network.state_dict(), card)
    return path
