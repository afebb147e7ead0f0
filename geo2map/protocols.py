"""The seams between the rooms. The docstrings are the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.window import PixelWindow
from geo2map.types import Batch, Image, Mask, Tile, TileFormat


class Source(Protocol):
    """Something that has pixels on the global grid."""

    def read(self, block: Block) -> BlockImage:
        """Reads the block's window.

        The same global pixel has the same value whichever block asks for it. Pixels without data are
        masked out and hold whatever the source likes; `geo2map.grid.fill` decides what the network sees there.
        Called from one thread at a time, not always the one that opened the source; see `SplitSource`.

        Raises:
            SceneError: the data are damaged or went away.
        """
        ...


@runtime_checkable
class SplitSource(Source, Protocol):
    """A source that several threads may read at once, in pieces of any size, and that knows some of its holes."""

    def another(self) -> SplitSource:
        """The same pixels for another thread; whoever asked for it closes it."""
        ...

    def is_empty(self, window: PixelWindow) -> bool:
        """Whether a window of global pixels surely holds no valid one; False where only reading can tell."""
        ...

    def close(self) -> None:
        """Lets go of files; harmless when repeated."""
        ...


@dataclass(frozen=True)
class Prediction:
    """What a translator makes of a block. Without margin.

    Attributes:
        image: pixels uint8 (H, W, 3) and the mask of the imagery.
        confidence: probability of what is drawn in per cent, uint8 (H, W); None where the model states none.
        probabilities: of classes, 0 to 255, uint8 (classes, H, W); None where nobody needs them.
    """

    image: BlockImage
    confidence: npt.NDArray[np.uint8] | None = None
    probabilities: npt.NDArray[np.uint8] | None = None


class Translator(Protocol):
    """Something that turns pictures of kind A into pictures of kind B, pixel for pixel.

    Attributes:
        batch: most pictures that are worth translating at once; the translator's own business, and may change.
    """

    @property
    def batch(self) -> int: ...

    def translate(self, batch: Batch, margin: int = 0) -> Batch:
        """Translates uint8 (N, H, W, 3) to uint8 (N, H - 2 margin, W - 2 margin, 3); H and W are multiples of the
        model's size rule. What a model with noise takes has its bands after the three (`geo2map.grid.add_noise`).

        A picture's result does not depend on its batch mates. Called from one thread.

        Args:
            margin: pixels around each picture that are context only; what is left is what no margin would give there.

        Raises:
            DeviceError: the device ran out of memory even for one picture.
        """
        ...


@runtime_checkable
class AheadTranslator(Translator, Protocol):
    """One that can take a batch before the one before it is done.

    Attributes:
        ahead: batches that are worth beginning before the first of them is waited for.
    """

    @property
    def ahead(self) -> int: ...

    def begin(self, batch: Batch, margin: int = 0) -> Callable[[], Batch]:
        """Begins with a batch; calling what comes back, once and in the same thread, waits for what `translate` says.

        Raises:
            DeviceError: the device ran out of memory even for one picture.
        """
        ...


class Codec(Protocol):
    """How a tile's pixels become bytes; the same pixels always give the same bytes. Thread-safe.

    Attributes:
        format: of the tiles.
        suffix: of a tile's file name.
        lossless: whether `decode` gives back every valid pixel as it was.
        majority: whether a parent's pixel is what most of its four children are; otherwise it is their mean.
    """

    @property
    def format(self) -> TileFormat: ...

    @property
    def suffix(self) -> str: ...

    @property
    def lossless(self) -> bool: ...

    @property
    def majority(self) -> bool: ...

    def encode(self, pixels: Image, mask: Mask) -> bytes:
        """Encodes uint8 (256, 256, 3) and bool (256, 256)."""
        ...

    def decode(self, data: bytes) -> tuple[Image, Mask]:
        """Pixels, uint8 (256, 256, 3), zero where invalid, and mask, bool (256, 256).

        Raises:
            TileSetError: the bytes are no such tile.
        """
        ...


class StoredTiles(Protocol):
    """The reading half of `TileStore`: encoded tiles at rest.

    Attributes:
        zooms: those with at least one tile, ascending.
    """

    @property
    def zooms(self) -> tuple[int, ...]: ...

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes, None where there is none."""
        ...

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The tiles of a zoom by column, then row."""
        ...


class TileStore(Protocol):
    """Encoded tiles at rest: a folder, one SQLite file, memory. Safe to use from several threads.

    Attributes:
        zooms: those with at least one tile, ascending.
    """

    @property
    def zooms(self) -> tuple[int, ...]: ...

    def put(self, tile: Tile, data: bytes) -> None:
        """Stores a tile; one that is there is replaced. Idempotent.

        Raises:
            OutputError: it cannot be written.
        """
        ...

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes, None where there is none.

        Raises:
            TileSetError: it cannot be read.
        """
        ...

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The tiles of a zoom by column, then row; memory does not grow with their number."""
        ...

    def sync(self) -> None:
        """Returns when everything put so far would survive a loss of power.

        Raises:
            OutputError: it cannot be written.
        """
        ...


class Progress(Protocol):
    """Told how far a stage has come."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


class Begin(Protocol):
    """Told what a user should know of a run before its first block: the name of what is rendered, "" for several by
    themselves, and sentences."""

    def __call__(self, name: str, notes: Sequence[str], /) -> None: ...
