"""Networks and losses: pure torch, nothing geographic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geo2map.nn.crispen import Crispen
from geo2map.nn.legend import Legend
from geo2map.nn.patchgan import PatchGAN
from geo2map.nn.unet import UNetGenerator

__all__ = ["ARCHITECTURES", "PatchGAN", "UNetGenerator", "build"]

ARCHITECTURES = {"unet": UNetGenerator}


def build(
    architecture: str,
    legend: Sequence[Sequence[int]] = (),
    crispen: Mapping[str, Any] | None = None,
    **config: Any,
) -> UNetGenerator:
    """Makes a generator from the name and the literal configuration that a model card carries.

    Args:
        architecture: its name.
        legend: colours that the last convolution scores, see `Legend`; none draws any colour.
        crispen: what `Crispen` takes; None draws no borders steeper.
        config: what the architecture takes.

    Raises:
        ValueError: no such architecture, or a configuration it does not take.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture {architecture!r} is not one of {', '.join(ARCHITECTURES)}")
    try:
        if legend:
            config["out_channels"] = len(legend)
        generator = ARCHITECTURES[architecture](**config)
        if legend:
            generator.end = Legend(legend)
        generator.crispen = None if crispen is None else Crispen(**crispen)
    except TypeError as error:
        raise ValueError(f"architecture {architecture!r} cannot be built: {error}") from error
    return generator
