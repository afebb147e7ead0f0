"""Weights of one network made to fit another that differs a little, as a training's beginning."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from geo2map.families.family import ColourLevels, Weights
from geo2map.families.legend import Legend
from geo2map.families.unet.generator import UNetGenerator

_SOFTNESS = 300.0
"""Squared grey levels by which a pixel's distances to a legend's colours become scores: land has 1.2 over building."""
BRIGHTEST = 0.97
"""Where tanh is inverted no farther: white would need infinity."""


def transplanted(weights: Weights, network: UNetGenerator, legend: ColourLevels = ()) -> Weights:
    """Weights for a network with more bands of input, another legend, one or none, or fewer channels at the innermost.

    Anything else is left as it is, and will not fit.

    Args:
        weights: of another network.
        network: what they are to fit.
        legend: of the other network.
    """
    fitted = _fewer_innermost(_more_bands(weights, network), network)
    wanted = network.head.colours.tolist() if isinstance(network.head, Legend) else []
    if wanted == [list(colour) for colour in legend]:
        return fitted
    if legend:
        fitted = _drawing(fitted, legend)
    return _scoring(fitted, wanted) if wanted else fitted


def start_from(generator: UNetGenerator, plain: UNetGenerator, weights: Weights, legend: ColourLevels) -> None:
    """Loads weights of a similar network into a generator that is to be trained.

    Args:
        generator: its transposed convolutions may be parametrised.
        plain: the same network as it will be exported; is changed.
        weights: of the other network.
        legend: of the other network.

    Raises:
        ValueError: the weights are of another architecture.
    """
    try:
        plain.load_state_dict(transplanted(weights, plain, legend))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    with torch.no_grad():
        for ours, theirs in zip(generator.transposed(), plain.transposed(), strict=True):
            if parametrize.is_parametrized(ours):  # unfolds the kernel
                ours.weight = theirs.weight.detach().to(ours.weight.device)
    own = generator.state_dict()
    generator.load_state_dict(own | {name: tensor for name, tensor in plain.state_dict().items() if name in own})


def _more_bands(weights: Weights, network: UNetGenerator) -> Weights:
    """Zeros for the new bands: the same function."""
    first = "down.0.0.weight"
    wanted, given = network.state_dict()[first], weights.get(first)
    if given is None or given.ndim != 4 or given.shape[1] >= wanted.shape[1]:
        return weights
    zeros = given.new_zeros(given.shape[0], wanted.shape[1] - given.shape[1], *given.shape[2:])
    return {**weights, first: torch.cat((given, zeros), 1)}


def _scoring(weights: Weights, legend: ColourLevels) -> Weights:
    """Scores, in place of what tanh takes: the colour nearest to the one drawn has the highest."""
    return _mixed(weights, *_scores_of(legend), 3)


def _drawing(weights: Weights, legend: ColourLevels) -> Weights:
    """What tanh takes, in place of scores: the nearest that `_scoring` would make the same scores of."""
    mix, fixed = _scores_of(legend)
    back = torch.linalg.pinv(mix)
    return _mixed(weights, back, -back @ fixed, len(legend))


def _scores_of(legend: ColourLevels) -> tuple[Tensor, Tensor]:
    """-|y - c|^2 for colours c and y = tanh(z), which is taken for a line: (colours, 3) times z and (colours,) more."""
    seen = torch.as_tensor(legend, dtype=torch.float64) / 127.5 - 1
    z = seen.clamp(-BRIGHTEST, BRIGHTEST).atanh()
    near = torch.cdist(seen, seen).fill_diagonal_(torch.inf).amin(1)
    trust = (near**-2 / (near**-2).sum())[:, None]  # the line must be right where colours are near each other
    middle, level = (trust * z).sum(0), (trust * seen).sum(0)
    slope = (trust * (z - middle) * (seen - level)).sum(0) / (trust * (z - middle) ** 2).sum(0)
    scale = 127.5**2 / _SOFTNESS
    return 2 * scale * seen * slope, scale * (2 * seen @ (level - slope * middle) - (seen**2).sum(1))


def _mixed(weights: Weights, mix: Tensor, fixed: Tensor, channels: int) -> Weights:
    """The last convolution with its channels mixed, if there are as many as these."""
    last, bias = "up.0.1.weight", "up.0.1.bias"
    given, shift = weights.get(last), weights.get(bias)
    if given is None or shift is None or given.ndim != 4 or given.shape[1] != channels:
        return weights
    mixed = torch.einsum("iohw,co->ichw", given.double(), mix)
    return {**weights, last: mixed.to(given), bias: (mix @ shift.double() + fixed).to(shift)}


def _fewer_innermost(weights: Weights, network: UNetGenerator) -> Weights:
    """The innermost level's channels that matter most, by the product of what goes in and out."""
    level = network.depth - 1
    down = f"down.{level}.{min(level, 1)}.weight"  # the outermost has no LeakyReLU first
    up = f"up.{level}.1.weight"
    wanted, into, out = network.state_dict()[down], weights.get(down), weights.get(up)
    if into is None or out is None or into.ndim != 4 or not len(wanted) < len(into) == len(out):
        return weights
    kept = strongest(len(wanted), into, out)
    return {**weights, down: into[kept], up: out[kept]}


def strongest(count: int, into: Tensor, out: Tensor) -> Tensor:
    """Which channels, the first axis of both weights, have the largest products of norms; int64 (count,), in order."""
    strength = into.flatten(1).norm(dim=1) * out.flatten(1).norm(dim=1)
    return strength.topk(count).indices.sort().values
