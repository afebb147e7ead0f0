"""The U-Net generators of pytorch-CycleGAN-and-pix2pix (Jun-Yan Zhu et al.), the reference implementation of pix2pix.

Its U-Net is a block that holds a block that holds a block, so a layer's key says how deep the layer lies:
"model.model.1.model" is level 2, and every ".3.model" more goes one level further in. A block is a Sequential of
LeakyReLU 0, down 1, norm 2, block 3, ReLU 4, up 5, norm 6, dropout 7; the innermost one of LeakyReLU 0, down 1, ReLU 2,
up 3, norm 4; the outermost one of down 0, block 1, ReLU 2, up 3, tanh 4. Dropout has no weights and is off in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geo2map.errors import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every key."""
COUNTER = "num_batches_tracked"
RUNNING = ("running_mean", "running_var", COUNTER)


def convert_state_dict(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Converts a reference generator's state.

    Args:
        state: of a U-Net generator of any depth and width, with batch norm or instance norm.

    Returns:
        Configuration and weights (float32) of the `UNetGenerator` that is the same function in eval mode.

    Raises:
        ModelFileError: the state of another network; the message says of which.
    """
    state = _without_prefixes(state)
    if not {"model.model.0.weight", "model.model.3.weight"} <= state.keys():
        raise ModelFileError(f"not a U-Net generator, but {_likely(state)}; give latest_net_G.pth")
    depth = _depth(state)
    homes = _homes(depth)
    weights: dict[str, Tensor] = {}
    for key, tensor in state.items():
        layer, _, leaf = key.rpartition(".")
        if layer not in homes:
            raise ModelFileError(
                f"not a plain U-Net generator: it has another layer too ({key}); it cannot be imported"
            )
        weights[f"{homes[layer]}.{leaf}"] = tensor.detach().float() if tensor.is_floating_point() else tensor
    widths = [weights[f"down.{level}.{min(level, 1)}.weight"].shape[0] for level in range(depth)]
    config = {"widths": widths, "norm": "instance" if "down.0.0.bias" in weights else "batch"}
    return config, _checked(weights, config)


def _without_prefixes(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state without what wrappers put before all keys, in whatever order and number."""
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return _without_prefixes({key.removeprefix(prefix): tensor for key, tensor in state.items()})
    return state


def _likely(state: Mapping[str, Tensor]) -> str:
    """The likely network of a state that is not a U-Net generator's."""
    first = next(iter(state), "no tensor")
    if any(".conv_block." in key for key in state):
        return "a ResNet generator"
    if first.startswith(("model.0.", "net.0.")) and any(t.ndim == 4 and t.shape[0] == 1 for t in state.values()):
        return "a discriminator"
    return f"{len(state)} tensors of another network (the first is {first})"


def _block(level: int) -> str:
    return "model.model.1.model" + ".3.model" * (level - 1)


def _depth(state: Mapping[str, Tensor]) -> int:
    depth = 1
    while f"{_block(depth)}.1.weight" in state:
        depth += 1
    return depth


def _homes(depth: int) -> dict[str, str]:
    """Our name of every layer with weights by the reference's."""
    homes = {"model.model.0": "down.0.0", "model.model.3": "up.0.1"}
    for level in range(1, depth):
        block, innermost = _block(level), level == depth - 1
        up = 3 if innermost else 5
        homes |= {f"{block}.1": f"down.{level}.1", f"{block}.{up}": f"up.{level}.1"}
        homes |= {f"{block}.{up + 1}": f"up.{level}.2"} | ({} if innermost else {f"{block}.2": f"down.{level}.2"})
    return homes


def _checked(weights: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """Just the weights that the configuration's network has, in its order and of its shapes.

    Files older than PyTorch 0.4 have no batch counters, but running statistics of instance norms that nobody uses.
    """
    import torch

    from geo2map.families.unet.generator import make_generator

    with torch.device("meta"):
        wanted = make_generator(**config).state_dict()
    if config["norm"] == "instance":
        weights = {key: tensor for key, tensor in weights.items() if not key.endswith(RUNNING)}
    weights = {key: torch.zeros((), dtype=torch.int64) for key in wanted if key.endswith(COUNTER)} | weights
    homes = {ours: theirs for theirs, ours in _homes(len(config["widths"])).items()}
    for key in [*wanted, *sorted(weights.keys() - wanted.keys())]:
        found, expected = (str(tuple(side[key].shape)) if key in side else "nothing" for side in (weights, wanted))
        if found != expected:
            layer, _, leaf = key.rpartition(".")
            raise ModelFileError(
                f"not a U-Net generator for RGB pictures with {config['norm']} norm: the file has {found} at "
                f"{homes[layer]}.{leaf} where {expected} belongs; it cannot be imported"
            )
    return {key: weights[key] for key in wanted}
