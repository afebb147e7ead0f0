"""How fast a training is, measured over its first steps: whoever started it learns soon what it will take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_CONVOLUTIONS = {torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default}
MEASURED_STEPS, MEASURED_SECONDS = 50, 10.0
"""So many steps are measured, or fewer if they take so long, but two."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a training is.

    Attributes:
        steps_per_second: optimiser steps, crops and all.
        crops_per_second: of all processes.
        convolution_share: of the time of a step, about; None where the network is compiled.
        seconds_left: to the end of the run, without checkpoints and sample sheets.
    """

    steps_per_second: float
    crops_per_second: float
    convolution_share: float | None
    seconds_left: float

    def __str__(self) -> str:
        share = "" if self.convolution_share is None else f", {self.convolution_share:.0%} of it in convolutions"
        minutes = round(self.seconds_left / 60)
        left = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
        return f"{self.steps_per_second:.3g} steps/s, {self.crops_per_second:.3g} crops/s{share}: {left} to go"


class PaceMeter:
    """Measures the steps of a run: the first is warming up, the next ones are timed, one more is looked into.

    Args:
        device: that the steps run on.
        crops: in a step, of all processes.
        look_inside: whether to measure the convolutions.
    """

    def __init__(self, device: torch.device, crops: int, look_inside: bool) -> None:
        self.device, self.crops, self.look_inside = device, crops, look_inside
        self._steps, self._started = 0, 0.0
        self._rate: float | None = None
        self._inside: float | None = None
        self._done = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a step, crops and all."""
        if self._rate is None or self._done or not self.look_inside:
            yield
        else:
            with _ConvolutionClock(self.device) as clock:
                yield
            self._inside = clock.seconds()
        self._done = self._rate is not None
        if self._rate is None:
            self._count()

    def pace(self, steps_left: int) -> Pace | None:
        """The pace, as soon as it is known."""
        if not self._done or self._rate is None:
            return None
        share = None if self._inside is None else min(1.0, self._inside * self._rate)
        return Pace(
            steps_per_second=self._rate,
            crops_per_second=self._rate * self.crops,
            convolution_share=share,
            seconds_left=steps_left / self._rate,
        )

    def _count(self) -> None:
        self._steps += 1
        seconds, timed = time.monotonic() - self._started, self._steps - 1
        if timed and timed < MEASURED_STEPS and (timed < 2 or seconds < MEASURED_SECONDS):
            return
        _wait(self.device)
        if timed:
            self._rate = timed / (time.monotonic() - self._started)
        else:
            self._started = time.monotonic()


class _ConvolutionClock(TorchDispatchMode):
    """Times the convolutions of what is done within it, forwards and backwards."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self._marks: list[Any] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func not in _CONVOLUTIONS:
            return func(*args, **(kwargs or {}))
        self._mark()
        result = func(*args, **(kwargs or {}))
        self._mark()
        return result

    def seconds(self) -> float:
        """Of all convolutions so far. Waits for the device."""
        _wait(self._device)
        spans = zip(self._marks[::2], self._marks[1::2], strict=True)
        if self._device.type == "cuda":
            return sum(start.elapsed_time(end) / 1000.0 for start, end in spans)
        return sum(end - start for start, end in spans)

    def _mark(self) -> None:
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self._device))
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
