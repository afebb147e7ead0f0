"""Benchmark of a run: the rate of each stage alone, of all together, and the bottleneck."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from geo2map.grid.block import Block, BlockImage
from geo2map.pipeline.blocks import MOST_ENCODERS, LayerTiles, encode_layers
from geo2map.pipeline.reading import MOST_READERS, BlockDone, BlockReader, prepare
from geo2map.pipeline.report import Report
from geo2map.pipeline.run import BlockSink, run
from geo2map.plan.value import Plan
from geo2map.protocols import Prediction, Source, SplitSource, Translator, TranslatorInput
from geo2map.tiles.layer import MAP

BUSY = 0.85
"""Share of the cores' time from which the CPU counts as the bottleneck."""


@dataclass(frozen=True)
class StageRate:
    """A stage alone, with the threads of a run.

    Attributes:
        name: "read", "fill", "translate", "encode" or "write".
        threads: number of threads; for "translate" those of this process, not of the device.
        seconds: wall-clock for the tiles measured.
        busy: CPU seconds of all its threads, or of the device if longer.
        rate: tiles per second, its maximum.
        share: share of the busy seconds of all stages, 0 to 1.
    """

    name: str
    threads: int
    seconds: float
    busy: float
    rate: float
    share: float = 0.0


@dataclass(frozen=True)
class Rates:
    """Results of a benchmark.

    Attributes:
        tiles: number of tiles rendered at maxzoom.
        stages: each stage alone, in the order of a run.
        rate: tiles per second from scene to finished output.
        seconds: wall-clock of that run.
        cores: number of cores available.
        cores_busy: share of their time used by the run, 0 to 1.
        bound: tiles per second without any waiting: all busy seconds spread evenly over the cores.
        memory: peak of main memory in bytes, None if the system does not report it.
        device: device of the translator.
    """

    tiles: int
    stages: tuple[StageRate, ...]
    rate: float
    seconds: float
    cores: int
    cores_busy: float
    bound: float
    memory: int | None
    device: str

    @property
    def verdict(self) -> str:
        """The bottleneck, in one sentence."""
        slowest = min(self.stages, key=lambda stage: stage.rate)
        largest = max(self.stages, key=lambda stage: stage.share)
        if self.device == "cpu" and self.cores_busy >= BUSY:
            cores = "core is" if self.cores == 1 else f"{self.cores} cores are"
            return f"The {cores} busy, {largest.share:.0%} of it with {largest.name}: only less work would be faster."
        if self.rate >= 0.75 * slowest.rate:
            return f"{slowest.name.capitalize()} is the bottleneck: alone it reaches {slowest.rate:.1f} tiles/s."
        return (
            f"No single bottleneck: the slowest stage, {slowest.name}, would reach {slowest.rate:.1f} tiles/s, and "
            f"{self.cores_busy:.0%} of the cores' time is used; stages wait for each other, as in a short run."
        )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}

    def __str__(self) -> str:
        lines = [f"{'stage':<12}{'threads':>8}{'tiles/s':>10}{'ms a tile':>11}{'of the work':>13}"]
        for stage in self.stages:
            each = 1000 * stage.busy / self.tiles
            lines.append(f"{stage.name:<12}{stage.threads:>8}{stage.rate:>10.1f}{each:>11.2f}{stage.share:>13.0%}")
        memory = "" if self.memory is None else f", {self.memory / 2**20:.0f} MiB of memory at most"
        lines += [
            f"together    {self.cores:>8}{self.rate:>10.1f}{1000 * self.seconds / self.tiles:>11.2f}",
            f"{self.tiles} tiles in {self.seconds:.1f} s on {self.device}, {self.rate / self.bound:.0%} of what "
            f"{self.cores} cores could do{memory}",
            self.verdict,
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Bench:
    """A benchmark of one plan.

    Attributes:
        source: opens the scene of the plan with cold caches.
        output: opens an empty output for the plan.
        device: name of the translator's device.
    """

    plan: Plan
    source: Callable[[], AbstractContextManager[Source]]
    translator: Translator
    output: Callable[[], AbstractContextManager[BlockSink]]
    device: str = "cpu"

    def measure(self) -> Rates:
        """Run each stage alone, then all together.

        Raises:
            Geo2MapError: raised by a stage.
        """
        together, report, cores_busy = self._run()
        clock = _Clock(report.tiles)
        images = self._read(clock)
        translated = self._translate(clock, images)
        self._store(clock, translated)
        total = sum(stage.busy for stage in clock.stages)
        stages = tuple(replace(stage, share=stage.busy / total) for stage in clock.stages)
        cores = self.translator.budget.threads
        bound = report.tiles * cores / total if self.device == "cpu" else min(stage.rate for stage in stages)
        return Rates(
            report.tiles,
            stages,
            report.tiles / together,
            together,
            cores,
            cores_busy,
            bound,
            peak_memory(),
            self.device,
        )

    def _run(self) -> tuple[float, Report, float]:
        """A complete run after warming up: seconds, report, share of the cores."""
        image = next(iter(self.plan.blocks()))
        with self.source() as source:
            self.translator.translate([prepare(self.plan, source, image)])
        with self.source() as source, self.output() as output:
            started, busy = time.perf_counter(), time.process_time()
            report = run(source, self.translator, output)
            seconds, busy = time.perf_counter() - started, time.process_time() - busy
        return seconds, report, busy / seconds / self.translator.budget.threads

    def _read(self, clock: _Clock) -> list[TranslatorInput]:
        budget = self.translator.budget
        wide = replace(self.plan, margin=self.plan.margin + self.plan.fill_radius, fill_radius=0)
        with self.source() as source:
            threads = budget.share(MOST_READERS) if isinstance(source, SplitSource) else 1
            with clock.stage("read", threads):
                found = [one.image for one in BlockReader(wide, source, budget=budget).read(wide.blocks()) if one.image]
        held = _MemorySource(found)
        with budget.pool(threads, "fill") as pool, clock.stage("fill", threads):
            return list(pool.map(lambda image: prepare(self.plan, held, image.block), found))

    def _translate(self, clock: _Clock, inputs: list[TranslatorInput]) -> list[Prediction]:
        done: list[Prediction] = []
        with clock.stage("translate", self.translator.budget.threads if self.device == "cpu" else 1):
            while len(done) < len(inputs):
                batch = inputs[len(done) : len(done) + self.translator.batch]
                _, alike = next(groupby(batch, key=lambda one: one.shape))
                done += self.translator.translate(list(alike))
        return done

    def _store(self, clock: _Clock, predictions: list[Prediction]) -> None:
        with self.output() as output:
            storage, budget = output.job.storage, self.translator.budget
            threads, layers, levels = budget.share(MOST_ENCODERS), storage.tile_layers[:1], storage.levels(self.plan)

            def encode(prediction: Prediction) -> LayerTiles:
                return encode_layers(layers, prediction.image, prediction, levels)

            with budget.pool(threads, "encode") as pool, clock.stage("encode", threads):
                encoded = list(pool.map(encode, predictions))
            with clock.stage("write", 1):
                for prediction, tiles in zip(predictions, encoded, strict=True):
                    block = prediction.image.block
                    output.keep(BlockDone(block, self.plan.block_key(block), "measured", len(tiles[MAP])), tiles)
                output.finish()


class _Clock:
    """Times the stages."""

    def __init__(self, tiles: int) -> None:
        self.stages: list[StageRate] = []
        self._tiles = tiles

    @contextmanager
    def stage(self, name: str, threads: int) -> Iterator[None]:
        started, busy = time.perf_counter(), time.process_time()
        yield
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        longest = max(seconds, busy) if name == "translate" else busy
        self.stages.append(StageRate(name, threads, seconds, longest, self._tiles / max(seconds, 1e-9)))


class _MemorySource:
    """Images in memory as a source."""

    def __init__(self, images: list[BlockImage]) -> None:
        self._images = {(image.block.x, image.block.y): image for image in images}

    def read(self, block: Block) -> BlockImage:
        return self._images[block.x, block.y].with_margin(block.margin)


def peak_memory() -> int | None:
    """Peak memory of this process in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
