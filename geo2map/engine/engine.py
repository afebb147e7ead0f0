"""A generator on a device, as a function of uint8 pictures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from geo2map.colour.trial import TRIED_CLASSES
from geo2map.engine.device import DTYPES, hold_instructions
from geo2map.engine.memory import BatchLimit, is_out_of_memory
from geo2map.engine.squares import cut_squares, distinct_squares, join_squares
from geo2map.engine.transfer import Download, torch_threads, upload
from geo2map.families import find_family
from geo2map.families.runner import Runner, Step
from geo2map.families.scores import ScorePlanes
from geo2map.files.closing import Closing
from geo2map.model import ModelCard
from geo2map.protocols import EVIDENCE, PixelTranslator, Scored, ScoreKind
from geo2map.threads import Budget, start_threads
from geo2map.types import Batch, Favours

_Levels = npt.NDArray[np.uint8]

STRIP = 128
"""Rows of the output that the CPU computes at once in the outermost levels."""
_AT_ONCE = 2
"""Calls that the CPU has under way at once, each with its share of the threads, which so wait less for each other."""
TILES = 8
"""Tiles in each call on the CPU where the card is not exact: the innermost levels have more weights than pixels."""


class Engine(PixelTranslator, Closing):
    """Translates blocks with a model. The only place where uint8 becomes float and back.

    The network runs in evaluation mode, so a picture's pixels depend neither on the rest of its batch nor on the
    order of calls. Where the card is not exact, the same holds for each tile of a picture: the network gets one tile
    at a time. Not thread-safe: call from one thread. A context manager that ends its threads.

    Attributes:
        card: the model's card.
        device, dtype: where and in which number format the network runs.
        threads: CPU threads that torch has while translating; None leaves the process's setting.
        ahead: batches that are worth beginning before the first of them is waited for.
    """

    def __init__(
        self,
        generator: nn.Module,
        card: ModelCard,
        device: torch.device,
        dtype: torch.dtype,
        batch: int | None = None,
        threads: int | None = None,
    ) -> None:
        """The family may copy the generator's weights; otherwise the generator itself moves to the device."""
        hold_instructions(device, dtype)
        self.card, self.device, self.dtype, self.threads = card, device, dtype, threads
        self._limit = BatchLimit(batch or (min(_AT_ONCE, threads or 1) if device.type == "cpu" else 8))
        self.noise = card.noise
        self.ahead = 1 if device.type == "cuda" else 0
        self._favours: Favours = ()
        self._favouring: dict[Favours, Engine] = {}
        self._weights = dict(generator.state_dict()) if card.favours_elsewhere else {}
        self._runner = self._make_runner(generator)
        in_calls = device.type == "cpu" and self._runner.fixed_calls
        self._call = (1 if card.exact else TILES) if in_calls else None  # pictures in each call, if always so many
        self.has_scores = card.legend_classes is not None
        self._crew = start_threads(_AT_ONCE - 1, "translate")  # starts threads when it has work

    def close(self) -> None:
        """Ends the engine's threads; it cannot translate any more. Harmless when repeated."""
        self._crew.shutdown()

    def _make_runner(self, generator: nn.Module) -> Runner:
        runner = find_family(self.card.architecture).runner(generator, STRIP if self.device.type == "cpu" else None)
        runner.to(self.dtype)  # before it moves: not every device has float64
        runner.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return runner

    def favouring(self, favours: Favours) -> Engine:
        """An engine whose network holds these favours in its last bias, at no cost a pixel. Both share threads and
        batch.

        Raises:
            PlanError: the card knows of no favours elsewhere.
        """
        if not favours:
            return self
        if favours not in self._favouring:
            if not self._weights:
                return super().favouring(favours)  # type: ignore[return-value]  # which raises
            added = [self.card.certainty * dict(favours).get(name, 0.0) for name in self.card.legend_classes or ()]
            family, other = find_family(self.card.architecture), copy(self)
            generator = family.build(self.card.config)
            generator.load_state_dict(family.calibrate(self._weights, 1.0, added))
            other._favours, other._runner = favours, other._make_runner(generator)
            self._favouring[favours] = other
        return self._favouring[favours]

    @property
    def batch(self) -> int:
        """Most pictures at once; where the card is not exact, tiles, on the CPU eights of them. Halved for good when
        the device runs out of memory, here or in an engine that `favouring` made."""
        return self._limit.pictures

    @batch.setter
    def batch(self, most: int) -> None:
        self._limit.pictures = most

    @property
    def budget(self) -> Budget:
        """Processors for a run with this engine."""
        return Budget.make(self.threads)

    @property
    def precision(self) -> str:
        """The number format's short name: "fp32", "bf16" or "fp16"."""
        return next(name for name, dtype in DTYPES.items() if dtype == self.dtype)

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        """Translates uint8 (N, H, W, 3 + `card.noise`) to uint8 (N, H - 2 margin, W - 2 margin, 3).

        H and W are multiples of `card.size_multiple`. What is returned is the same, to one grey level at most, as
        that part of what no margin would give; it only takes less time.

        Args:
            batch: the pictures.
            margin: pixels around each that are context only.

        Raises:
            DeviceError: not even one picture fits into the device's memory.
            ValueError: H or W is no such multiple, the margin leaves nothing, or it is not that many bands.
        """
        return self.begin_pixels(batch, margin)()

    def begin_pixels(self, batch: Batch, margin: int = 0) -> Callable[[], Batch]:
        """Starts a batch; the function returned waits for what `translate_pixels` returns. On CUDA the device works
        meanwhile, and the next batch may be begun.

        Raises:
            DeviceError: not even one picture fits into the device's memory.
            ValueError: see `translate_pixels`.
        """
        wait = self._begin(batch, margin, None)
        return lambda: wait()[0]

    def begin_scored(
        self, batch: Batch, margin: int = 0, kinds: Collection[ScoreKind] = frozenset({"confidence"})
    ) -> Callable[[], Scored]:
        """Starts a batch as `begin_pixels` does; the function returned waits for its pixels, which are the same, and
        for what the scores tell.

        Raises:
            PlanError: the model has no legend.
            DeviceError, ValueError: see `translate_pixels`.
        """
        temperatures = (self.card.temperature,) if "confidence" in kinds else ()
        return self._begin_planes(batch, margin, EVIDENCE if "probabilities" in kinds else (), temperatures)

    def translate_tempered(
        self, batch: Batch, margin: int, temperatures: Sequence[float], groups: Sequence[tuple[str, ...]] = ()
    ) -> Scored:
        """Translates a batch; the planes are the confidence at each of these temperatures, then 255 x the probability
        of each group of classes.

        Raises:
            PlanError, DeviceError, ValueError: see `begin_scored`.
        """
        return self._begin_planes(batch, margin, groups, temperatures)()

    def outcome_planes(self, batch: Batch) -> npt.NDArray[np.uint8]:
        """What the scores tell of pictures without a margin: uint8 (N, 3, H, W), as `MatchOutcome.of` takes it.

        Raises what `begin_scored` raises.
        """
        return self.translate_tempered(batch, 0, (self.card.certainty,), TRIED_CLASSES).planes

    def _begin_planes(
        self, batch: Batch, margin: int, groups: Sequence[tuple[str, ...]], temperatures: Sequence[float]
    ) -> Callable[[], Scored]:
        card = self.card
        if card.legend_classes is None:
            return super().begin_scored(batch, margin)
        more = dict(self._favours)
        favours = {name: card.favours.get(name, 0.0) + more.get(name, 0.0) for name in card.legend_classes}
        planes = ScorePlanes(
            card.legend_classes, groups, certainty=card.certainty, temperatures=temperatures, favours=favours
        )
        wait = self._begin(batch, margin, planes)
        return lambda: Scored(*wait())

    def _begin(self, batch: Batch, margin: int, beside: Step | None) -> Callable[[], list[_Levels]]:
        """Starts a batch; the function returned waits for its pixels, NHWC, and for planes beside them, NCHW."""
        if batch.shape[-1] != 3 + self.noise:
            raise ValueError(f"{batch.shape[-1]} bands given, but {self.card.name} takes {3 + self.noise}")
        if self.card.exact:
            parts = self._start(batch, margin, beside)
            return lambda: _all(parts)
        squares, shape = cut_squares(batch, self.card.size_multiple), batch.shape
        chosen, copies = distinct_squares(squares)
        parts = self._start(squares[chosen], 0, beside)
        inside = (slice(margin, shape[1] - margin), slice(margin, shape[2] - margin))

        def join() -> list[_Levels]:
            pixels, *planes = _all(parts)
            joined = [join_squares(some.transpose(0, 2, 3, 1)[copies], shape)[:, *inside] for some in planes]
            return [join_squares(pixels[copies], shape)[:, *inside], *(some.transpose(0, 3, 1, 2) for some in joined)]

        return join

    def _start(self, batch: Batch, margin: int, beside: Step | None) -> list[list[Download]]:
        parts: list[list[Download]] = []
        start = 0
        while start < len(batch):
            part = batch[start : start + self.batch * (self._call or 1)]
            try:
                with torch_threads(self.threads):
                    parts.append(self._forward(part, margin, beside))
                start += len(part)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._limit.halve(self.device, batch.shape, error)
        return parts

    @torch.inference_mode()
    def _forward(self, batch: Batch, margin: int, beside: Step | None) -> list[Download]:
        """The pixels, NHWC, and what follows them, NCHW."""
        pixels = upload(batch, self.device)
        parts, run = _calls(pixels, self._call) if self._call else [pixels], partial(self._run, margin=margin)
        if beside:
            run = partial(run, beside=beside)
        done = self._side_by_side(parts, run) if len(parts) > 1 else [run(parts[0])]
        levels = (torch.cat(done) if len(done) > 1 else done[0])[: len(batch)]
        drawn = Download(levels[:, :3].permute(0, 2, 3, 1))
        return [drawn, Download(levels[:, 3:])] if beside else [drawn]

    def _side_by_side(self, parts: Sequence[Tensor], run: Step) -> list[Tensor]:
        """Translates every other picture in this thread, the rest in another; torch counts threads for each."""
        if self.threads is None or self.threads < _AT_ONCE:
            return [run(part) for part in parts]
        share = self.threads // _AT_ONCE

        def translate(some: Sequence[Tensor]) -> list[Tensor]:
            torch.set_num_threads(share)
            return [run(part) for part in some]

        try:
            others = [self._crew.submit(translate, parts[lane::_AT_ONCE]) for lane in range(1, _AT_ONCE)]
            done = [translate(parts[::_AT_ONCE]), *(other.result() for other in others)]
        finally:
            torch.set_num_threads(self.threads)  # the matrix library has one number for all threads
        return [done[number % _AT_ONCE][number // _AT_ONCE] for number in range(len(parts))]

    @torch.inference_mode()
    def _run(self, pixels: Tensor, margin: int, beside: Step | None = None) -> Tensor:
        levels: Tensor = self._runner(pixels, margin, self._normalise, _quantise, beside)
        return levels

    def _normalise(self, levels: Tensor) -> Tensor:
        """Grey levels as the network wants them, in [-1, 1]."""
        return levels.to(self.dtype).div_(127.5).sub_(1.0)


def _calls(pixels: Tensor, count: int) -> list[Tensor]:
    """Splits pictures into calls of exactly `count`, the last one padded with copies of its last picture.

    A CPU's convolutions may sum in an order that depends on how many pictures there are.
    """
    parts = list(pixels.split(count))
    if missing := count - len(parts[-1]):
        parts[-1] = torch.cat((parts[-1], parts[-1][-1:].expand(missing, -1, -1, -1)))
    return parts


def _quantise(values: Tensor) -> Tensor:
    """Grey levels of what the network gives; overwrites float32 values."""
    return values.float().add_(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def _all(parts: Sequence[Sequence[Download]]) -> list[_Levels]:
    """What each kind of download brings, the parts of a batch together."""
    arrived = [[part.wait() for part in kind] for kind in zip(*parts, strict=True)]
    return [kind[0] if len(kind) == 1 else np.concatenate(kind) for kind in arrived]
