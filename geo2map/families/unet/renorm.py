"""Batch renormalisation (Ioffe, NIPS 2017): in training as in evaluation, up to clipped corrections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchRenorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training output is normalised almost as in evaluation; same weights, same eval mode.

    BatchNorm of small batches trains with statistics that evaluation never sees again. Renormalisation corrects
    the batch's with r = std / running std, clipped to [1/r_max, r_max], and d = shift / running std, clipped to
    [-d_max, d_max], both without gradient. The limits open from (1, 0), plain BatchNorm, over the first
    `warm_up` batches.
    """

    def __init__(self, channels: int, r_max: float = 3.0, d_max: float = 5.0, warm_up: int = 1000) -> None:
        super().__init__(channels)
        self.r_max, self.d_max, self.warm_up = r_max, d_max, warm_up

    def forward(self, x: Tensor) -> Tensor:
        """Normalises float (N, channels, H, W)."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():  # limits as tensors: asking for their values would wait for the device
            opened = (self.num_batches_tracked / self.warm_up).clamp_max(1.0)
            r_max, d_max = 1.0 + opened * (self.r_max - 1.0), opened * self.d_max
            # torch.var_mean takes six to seventeen times as long on a CPU
            pixels = x.float().permute(0, 2, 3, 1).reshape(-1, self.num_features)
            mean = pixels.mean(0)
            variance = (pixels - mean).square_().mean(0)
            deviation, running = (variance + self.eps).sqrt(), (self.running_var + self.eps).sqrt()
            r = (deviation / running).clamp(1.0 / r_max, r_max)
            d = ((mean - self.running_mean) / running).clamp(-d_max, d_max)
        scale, shift = self.weight * r, self.weight * d + self.bias
        self.num_batches_tracked += 1
        return F.batch_norm(x, self.running_mean, self.running_var, scale, shift, True, self.momentum or 0.1, self.eps)
