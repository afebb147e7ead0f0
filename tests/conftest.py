"""Fixtures that several rooms of the tests share, and the profiles of hypothesis."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: as many processes as cores, so one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")  # as an engine has it, before a test of the network comes first

import pytest
import torch
from affine import Affine
from hypothesis import settings
from rasters import noise, write_raster
from torch import Tensor, nn

from geo2map.demo import make_town
from geo2map.engine import Engine, load_engine

settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("default", max_examples=50, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real scenes and pairs that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("needs the real scenes of ../shared, which are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def accelerator() -> torch.device:
    """A CUDA device, or what the environment says instead: a rehearsal shows that the tests run, not that they hold."""
    name = os.environ.get("GEO2MAP_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(name)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The packaged model on the CPU in fp32."""
    return load_engine("sat2map", device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small town with a nodata corner."""
    path = tmp_path_factory.mktemp("town") / "town.tif"
    make_town(path, size=1400, seed=3)
    return path


@pytest.fixture(scope="session")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manual as a site, built as CI does: a warning is an error."""
    pytest.importorskip("mkdocs", reason="needs the extra [docs]")
    site = tmp_path_factory.mktemp("manual")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site


class ReferenceBlock(nn.Module):
    """A level of the U-Net of pytorch-CycleGAN-and-pix2pix, written down again with its nesting and its names."""

    def __init__(self, outer: int, inner: int, norm: str, within: nn.Module | None, outermost: bool = False) -> None:
        super().__init__()
        bias = norm == "instance"
        kernel = {"kernel_size": 4, "stride": 2, "padding": 1}
        normed = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}[norm]
        down = nn.Conv2d(3 if outermost else outer, inner, **kernel, bias=bias)
        below = inner if within is None else 2 * inner
        up = nn.ConvTranspose2d(below, 3 if outermost else outer, **kernel, bias=bias or outermost)
        if outermost:
            layers = [down, within, nn.ReLU(True), up, nn.Tanh()]
        elif within is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, normed(outer)]
        else:
            before, after = [nn.LeakyReLU(0.2, True), down, normed(inner)], [nn.ReLU(True), up, normed(outer)]
            layers = [*before, within, *after, nn.Dropout(0.5)]
        self.outermost, self.model = outermost, nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class ReferenceUNet(nn.Module):
    """Its U-Net generator: `depth` levels, `width` channels on the first, eight times as many from the fourth on."""

    def __init__(self, depth: int, width: int, norm: str) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(depth)]
        block = None
        for level in reversed(range(1, depth)):
            block = ReferenceBlock(widths[level - 1], widths[level], norm, block)
        self.model = ReferenceBlock(3, width, norm, block, outermost=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


@pytest.fixture(scope="session")
def reference_unet() -> Callable[..., nn.Module]:
    """Makes a generator as the reference implementation has it, with statistics of its norms that are its own."""

    def make(norm: str = "batch", depth: int = 5, width: int = 4) -> nn.Module:
        torch.manual_seed(depth)
        network = ReferenceUNet(depth, width, norm)
        with torch.no_grad():
            network(torch.randn(2, 3, 2**depth, 2**depth) if norm == "batch" else torch.randn(1, 3, 256, 256))
        return network.eval()

    return make


@pytest.fixture
def small_scene(tmp_path: Path) -> Path:
    """A noise scene of 300 x 280 px at 0.9 m in UTM 18N, no town to draw: quick."""
    place = {"crs": "EPSG:32618", "transform": Affine(0.9, 0, 590_000, 0, -0.9, 4_510_000)}
    return write_raster(tmp_path / "small.tif", noise(3, 280, 300), **place)
