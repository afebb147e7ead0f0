"""The pix2pix U-Net as a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geo2map.families.family import ColourLevels, Config, Family, Weights
from geo2map.families.unet import cost, junyanz

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geo2map.families.generator import Generator
    from geo2map.families.runner import Runner
    from geo2map.families.unet.generator import UNetGenerator

LAST = "up.0.1"
"""The convolution that scores the colours of a legend."""


class UNetFamily(Family):
    """U-Nets of any depth; see `geo2map.families.unet.generator.UNetGenerator`."""

    name = "unet"
    nested = frozenset({"crispen", "legend"})

    def build(self, config: Config) -> UNetGenerator:
        from geo2map.families.unet.generator import make_generator

        try:
            return make_generator(**config)
        except TypeError as error:
            raise ValueError(f"architecture {self.name!r} cannot be built: {error}") from error

    def gflop_per_tile(self, config: Config) -> float:
        try:
            return cost.gflop_per_tile(**config)
        except (TypeError, ArithmeticError) as error:
            raise ValueError(str(error)) from error

    def runner(self, generator: nn.Module, strip: int | None) -> Runner:
        from torch.nn import InstanceNorm2d

        from geo2map.families.runner import WholeRunner
        from geo2map.families.unet.generator import UNetGenerator
        from geo2map.families.unet.inference import FoldedUNet

        if not isinstance(generator, UNetGenerator) or any(isinstance(m, InstanceNorm2d) for m in generator.modules()):
            return WholeRunner(generator)
        return FoldedUNet(generator, strip)

    def is_exact(self, config: Config) -> bool:
        return config.get("norm") != "instance"

    def convert(self, state: Weights) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return junyanz.convert_state_dict(state)

    def calibrate(self, weights: Weights, factor: float, added: Sequence[float]) -> dict[str, Tensor]:
        changed = dict(weights)
        for name in (f"{LAST}.weight", f"{LAST}.bias"):
            score = weights[name].double()
            more = score.new_tensor(added) if score.ndim == 1 else 0.0
            changed[name] = (factor * (score + more)).to(weights[name])
        return changed

    def choices(self, config: Config) -> dict[str, Any]:
        return {name: tuple(config[name]) for name in ("widths", "residual_blocks") if name in config}

    def start(self, generator: Generator, config: Config, weights: Weights, legend: ColourLevels) -> None:
        from geo2map.families.unet.generator import UNetGenerator
        from geo2map.families.unet.transplant import start_from

        assert isinstance(generator, UNetGenerator)
        start_from(generator, self.build(config), dict(weights), legend)


UNET = UNetFamily()
