"""What a family of networks does, and how a model card's architecture becomes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geo2map.errors import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geo2map.families.generator import Generator
    from geo2map.families.runner import Runner

Config = Mapping[str, Any]
"""A card's literal configuration. Two entries mean the same in every family: `in_channels`, the bands of the input (3
and those of noise), and `legend`, the colours that the network scores."""
Weights = Mapping[str, "Tensor"]
ColourLevels = Sequence[Sequence[float]]


class Family(ABC):
    """A kind of network. A family imports torch inside its methods, so that cards are read without it.

    Attributes:
        name: what cards call it, `ModelCard.architecture`.
        nested: entries of a configuration that are not plain numbers; `build` checks them.
    """

    name: str
    nested: frozenset[str] = frozenset({"legend"})

    @abstractmethod
    def build(self, config: Config) -> Generator:
        """Makes a generator with initial weights.

        Raises:
            ValueError: a configuration that the family does not take.
        """

    @abstractmethod
    def gflop_per_tile(self, config: Config) -> float:
        """Billions of multiplications and additions for a tile of 256 px without margin; needs no torch.

        Raises:
            ValueError: a configuration that the family does not take.
        """

    def runner(self, generator: nn.Module, strip: int | None) -> Runner:  # noqa: ARG002
        """The generator in evaluation mode, as fast as the family can make it; may copy the weights.

        Args:
            strip: rows of the output to compute at once where that saves memory; None is all.
        """
        from geo2map.families.runner import WholeRunner

        return WholeRunner(generator)

    def is_exact(self, config: Config) -> bool:  # noqa: ARG002
        """Whether a bounded margin makes tiled output equal whole output."""
        return True

    def convert(self, state: Weights) -> tuple[dict[str, Any], dict[str, Tensor]]:  # noqa: ARG002
        """Configuration and float32 weights for the state of another program's generator of this family.

        Raises:
            ModelFileError: the state of another network, or the family reads none.
        """
        raise ModelFileError(f"family {self.name} cannot import weights of other programs")

    def calibrate(self, weights: Weights, factor: float, added: Sequence[float]) -> dict[str, Tensor]:  # noqa: ARG002
        """Weights of a network with a legend whose scores are factor x (score + added), one `added` a colour.

        Raises:
            ModelFileError: the family has no such scores.
        """
        raise ModelFileError(f"family {self.name} cannot be calibrated")

    def choices(self, config: Config) -> dict[str, Any]:  # noqa: ARG002
        """The fields of a training's configuration that make this network again."""
        return {}

    def start(self, generator: Generator, config: Config, weights: Weights, legend: ColourLevels) -> None:  # noqa: ARG002
        """Loads the weights of a similar network into a generator, as the start of a training.

        Args:
            generator: to be trained; may hold its weights in another form than a model file does.
            config: of the generator as it will be exported.
            weights: of the other network.
            legend: of the other network.

        Raises:
            ValueError: they cannot be made to fit.
        """
        try:
            generator.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(str(error)) from error


FAMILIES: dict[str, Family] = {}
"""By name."""


def register(family: Family) -> None:
    """Adds a family, so that cards may name it."""
    FAMILIES[family.name] = family


def find_family(architecture: str) -> Family:
    """The family that a card names.

    Raises:
        ValueError: there is none of that name.
    """
    if architecture not in FAMILIES:
        raise ValueError(f"architecture {architecture!r} is not one of {', '.join(FAMILIES)}")
    return FAMILIES[architecture]


def build(architecture: str, **config: Any) -> Generator:
    """Makes a generator from what a card carries.

    Raises:
        ValueError: no such architecture, or a configuration that it does not take.
    """
    return find_family(architecture).build(config)
