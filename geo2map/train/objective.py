"""The generator's losses beside the adversarial one: L1, classes, a teacher's output, palette commitment."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from geo2map.errors import DataError
from geo2map.train.augment import HAS_TEACHER, SEEN, Crops
from geo2map.train.class_loss import ClassLoss
from geo2map.train.dataset import Pairs
from geo2map.train.losses import BalancedL1, masked_mean, nearest_entry, palette_commitment
from geo2map.train.pictures import ALL_LABELS, LABEL_BITS

NEED_CLASSES = ("lambda_cross_entropy", "lambda_jaccard", "lambda_commit", "teacher_commit", "border")
"""Choices that mean something for maps in a palette only."""


class Objective(nn.Module):
    """The losses of a fake map against the true one, each masked to the pixels for which it is defined.

    Args:
        pairs: palette, class shares and configuration are used.

    Raises:
        DataError: a loss of classes is asked for where there are none.
    """

    def __init__(self, pairs: Pairs) -> None:
        super().__init__()
        self.config, palette = pairs.config, pairs.palette
        self.balanced: BalancedL1 | None = None
        self.classes: ClassLoss | None = None
        if palette is not None and self.config.direction == "a2b":
            drawn = palette.classify(pairs.output_pixels[:: max(1, len(pairs.output_pixels) // 1_000_000)])
            shares = torch.from_numpy(np.bincount(drawn, minlength=len(palette.classes)) / drawn.size)
            self.balanced = BalancedL1(palette, shares, self.config.balance, self.config.border, LABEL_BITS)
            if self.config.lambda_cross_entropy or self.config.lambda_jaccard:
                self.classes = ClassLoss(palette, shares, self.config.balance, LABEL_BITS)
        elif unmet := [name for name in NEED_CLASSES if getattr(self.config, name)]:
            raise DataError(f"{unmet[0]}: the target pictures have no classes; leave it out", option=unmet[0])

    def forward(
        self, fake_b: Tensor, real_b: Tensor, crops: Crops, teacher_output: Tensor | None, scores: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and its parts by name.

        Args:
            fake_b, real_b, teacher_output: float (N, 3, H, W) in [-1, 1].
            crops: what is known of them.
            scores: see `ClassLoss`.
        """
        config, known = self.config, crops.known
        found = {"l1": self._l1(fake_b, real_b, crops)}
        loss = config.lambda_l1 * found["l1"]
        if config.teacher and config.lambda_teacher and teacher_output is not None:
            mask, teacher_output = (known & HAS_TEACHER) != 0, self._committed(teacher_output)
            found["teacher"] = masked_mean((fake_b - teacher_output).abs().mean(1), mask)
            loss = loss + config.lambda_teacher * found["teacher"]
        if config.lambda_commit and self.balanced is not None:
            found["commit"] = palette_commitment(fake_b, self.balanced.colours, (known & SEEN) != 0)
            loss = loss + config.lambda_commit * found["commit"]
        if self.classes is not None:
            found |= self.classes(fake_b, real_b, known, scores, crops.partly)._asdict()
            loss = loss + config.lambda_cross_entropy * found["cross_entropy"]
            loss = loss + config.lambda_jaccard * found["jaccard"]
        return loss, found

    def _committed(self, teacher_output: Tensor) -> Tensor:
        """The teacher's output, moved towards the nearest palette colours."""
        if self.balanced is None or not self.config.teacher_commit:
            return teacher_output
        colours = self.balanced.colours
        goal = colours[nearest_entry(teacher_output, colours)].permute(0, 3, 1, 2)
        return teacher_output + self.config.teacher_commit * (goal - teacher_output)

    def _l1(self, fake_b: Tensor, real_b: Tensor, crops: Crops) -> Tensor:
        if self.balanced is not None:
            return self.balanced(fake_b, real_b, crops.known, crops.partly)
        return masked_mean((fake_b - real_b).abs().mean(1), (crops.known & ALL_LABELS) == ALL_LABELS)
