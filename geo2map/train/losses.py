"""The losses of pix2pix; L1 can be balanced over the classes of a map style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geo2map.colour.palette import Palette
from geo2map.types import GanMode


def adversarial(logits: Tensor, real: bool, mode: GanMode = "bce") -> Tensor:
    """The discriminator's mean loss of calling every patch real (or fake); for the first two modes the generator's
    too: the paper's cross-entropy, least squares (Mao et al., ICCV 2017), or hinge (Lim & Ye, 2017)."""
    if mode == "hinge":
        return F.relu(1.0 - logits if real else 1.0 + logits).mean()
    target = torch.full_like(logits, 1.0 if real else 0.0)
    if mode == "bce":
        return F.binary_cross_entropy_with_logits(logits, target)
    return F.mse_loss(logits, target)


def fooling(logits: Tensor, mode: GanMode = "bce") -> Tensor:
    """The generator's mean loss over the logits of its own patches."""
    return -logits.mean() if mode == "hinge" else adversarial(logits, True, mode)


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean L1 between the discriminator's features of fake and real (pix2pixHD, Wang et al., CVPR 2018)."""
    return torch.stack([F.l1_loss(f.float(), r.float().detach()) for f, r in zip(fake, real, strict=True)]).mean()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of float (N, H, W) over the pixels of a bool mask; 0 of none."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def bits_of_all(own: Sequence[int], bits: Mapping[str, int]) -> int:
    """What is known where everything is: the bits of a map's own classes; if none has one, of all that there are."""
    return reduce(or_, own, 0) or reduce(or_, bits.values(), 0)


def split_known(known: Tensor, own: Tensor, all_bits: int) -> tuple[Tensor, Tensor]:
    """Where a map's colour is the truth, and where all that is known is what it is not; bool (N, H, W) each.

    Args:
        known: uint8 (N, H, W), bits of the classes that are known, none beside `all_bits`.
        own: the bit of the class that the map says, alike.
    """
    certain = (known == all_bits) | ((known & own) != 0)
    return certain, ~certain & (known != 0)


def of_pictures(which: Tensor | None, *tensors: Tensor) -> list[Tensor]:
    """The pictures of these numbers, int64, of (N, ...) each; all for None."""
    return [*tensors] if which is None else [tensor.index_select(0, which) for tensor in tensors]


def balanced_weights(shares: Tensor, balance: float) -> Tensor:
    """What a pixel of each class counts, float64 (classes,): (class share)^-`balance`, 1 in the mean over pixels."""
    weights = shares.double().clamp_min(1e-3) ** -balance
    return weights / (weights * shares).sum()


def closeness(picture: Tensor, colours: Tensor) -> Tensor:
    """How near each pixel of float (N, 3, H, W) is to each of (entries, 3) colours, (N, entries, H, W).

    It is minus the squared distance plus what is the same for all colours.
    """
    planes = picture.flatten(2).contiguous()  # a plane a colour: everything along them is several times faster
    offset = -(colours**2).sum(1, keepdim=True)
    found = torch.baddbmm(offset, (2 * colours).expand(len(picture), -1, -1), planes)
    return found.view(len(picture), len(colours), *picture.shape[2:])


def nearest_entry(picture: Tensor, colours: Tensor) -> Tensor:
    """Index of the nearest colour for each pixel of float (N, 3, H, W), int64 (N, H, W); colours are (entries, 3)."""
    with torch.no_grad():
        return first_highest(closeness(picture, colours))


def first_highest(planes: Tensor) -> Tensor:
    """`planes.argmax(1)` of (N, entries, ...), which torch does a pixel at a time across planes; int64 (N, ...)."""
    best, *others = planes.unbind(1)
    index = torch.zeros_like(best, dtype=torch.int64)
    for number, plane in enumerate(others, start=1):
        index.masked_fill_(plane > best, number)
        best = torch.maximum(best, plane)
    return index


def palette_commitment(fake_b: Tensor, colours: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute distance to the nearest of the colours: blends move to the nearer colour.

    The choice is the one that classifying the pixel would make, so that no pixel changes its class by it; a border
    becomes as steep as the network can draw it, and a flat area as flat.
    """
    with torch.no_grad():
        goal = colours[nearest_entry(fake_b, colours)].permute(0, 3, 1, 2)
    return masked_mean((fake_b - goal).abs().mean(1), mask)


def near_border(entries: Tensor, reach: int = 2) -> Tensor:
    """Pixels within `reach` of another class, float (N, H, W) of 0 and 1, for int64 (N, H, W)."""
    window = 2 * reach + 1
    one = entries[:, None].float()
    high = F.max_pool2d(one, window, 1, reach)
    low = -F.max_pool2d(-one, window, 1, reach)
    return (high != low)[:, 0].float()


class BalancedL1(nn.Module):
    """L1 in which a pixel counts by the palette class of its true colour: (class share)^-`balance`, mean 1.

    Plain L1 settles on the median colour, so a rare class vanishes wherever it is likely but not certain. The
    weighted median still is one of the colours, not a blend, but it takes the rare class's side earlier.

    Where only some classes are known, a map's colour is the truth if its own class is known. Else all that is known
    is which classes the pixel is not of: it costs the distance to the nearest colour of another class if it looks like
    one of these, and nothing if it does not.

    Args:
        palette: the map style.
        shares: share of each palette class in the training maps, (classes,).
        balance: 0 is plain L1, 1 makes every class count alike in all.
        border: how much more pixels within 2 px of class borders count.
        bits: the bit of `known` of each class by name; classes without one are never excluded.
    """

    def __init__(
        self,
        palette: Palette,
        shares: Tensor,
        balance: float,
        border: float = 0.0,
        bits: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        weights = balanced_weights(shares, balance)
        names = [(bits or {}).get(name, 0) for name, _ in palette.entries]
        self.border = border
        self.all_bits = bits_of_all(names, bits or {})
        self.register_buffer("colours", torch.from_numpy(palette.colours).float() / 127.5 - 1.0)
        self.register_buffer("weights", weights[torch.from_numpy(palette.class_of_entry)].float())
        self.register_buffer("bits", torch.tensor(names, dtype=torch.uint8))
        self.colours: Tensor
        self.weights: Tensor
        self.bits: Tensor

    def forward(
        self, fake_b: Tensor, real_b: Tensor, known: Tensor | None = None, partly: Tensor | None = None
    ) -> Tensor:
        """Weighted mean absolute difference of two float (N, 3, H, W) in [-1, 1].

        Args:
            known: uint8 (N, H, W), for each pixel the bits of the classes that are known; None: all.
            partly: numbers of the pictures of which only some classes are known, int64; None: it may be any. So that
                nobody has to wait for the device to say.
        """
        nearest = nearest_entry(real_b, self.colours)
        loss = self.weights[nearest] * (fake_b - real_b).abs().mean(1)
        if self.border:
            loss = loss * (1.0 + self.border * near_border(nearest))
        if known is None:
            return loss.mean()
        known = known & self.all_bits
        certain, doubtful = split_known(known, self.bits[nearest], self.all_bits)
        total = (loss * certain).sum()
        some_b, some_known, some_doubtful = of_pictures(partly, fake_b, known, doubtful)
        if len(some_b):
            total = total + (self._excluded(some_b, some_known) * some_doubtful).sum()
        return total / (known != 0).sum().clamp_min(1)

    def _excluded(self, fake_b: Tensor, known: Tensor) -> Tensor:
        """Distance to the nearest colour that is not known to be wrong, where the nearest of all is; (N, H, W)."""
        with torch.no_grad():
            near = closeness(fake_b, self.colours)
            wrong = (known & self.bits[first_highest(near)]) != 0
            excluded = (known[:, None] & self.bits[None, :, None, None]) != 0
            nearest = first_highest(near.masked_fill(excluded, -torch.inf))
            goal = self.colours[nearest].permute(0, 3, 1, 2)
        return (fake_b - goal).abs().mean(1) * wrong
