"""The seams between the rooms. The docstrings are the contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol, runtime_checkable

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.window import PixelWindow
from geo2map.protocols.translation import (
    EVIDENCE,
    PixelTranslator,
    Prediction,
    Scored,
    ScoreKind,
    TranslatorInput,
    Untranslated,
)
from geo2map.threads import Budget
from geo2map.types import Image, Mask, Tile, TileFormat

__all__ = [
    "EVIDENCE",
    "Begin",
    "Codec",
    "PixelTranslator",
    "Prediction",
    "Progress",
    "ScoreKind",
    "Scored",
    "Source",
    "SplitSource",
    "StoredTiles",
    "TileStore",
    "Translator",
    "TranslatorInput",
    "Untranslated",
]


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


class Translator(Protocol):
    """Turns prepared blocks into predictions. Noise, the size rule and the margin are its own concern.

    Attributes:
        batch: most inputs that are worth translating at once; may change.
        ahead: batches that are worth beginning before the first of them is waited for.
        budget: processors for a run with this translator, its readers and encoders included.
    """

    @property
    def batch(self) -> int: ...

    @property
    def budget(self) -> Budget: ...

    @property
    def ahead(self) -> int: ...

    def translate(
        self, inputs: Sequence[TranslatorInput], *, score_kinds: Collection[ScoreKind] = ()
    ) -> list[Prediction]:
        """Translates inputs of one shape and one margin; called from one thread.

        A prediction does not depend on what else is in the batch.

        Args:
            score_kinds: what to add to the predictions, whose pixels stay the same.

        Raises:
            DeviceError: the device ran out of memory even for one input.
        """
        ...

    def begin(
        self, inputs: Sequence[TranslatorInput], *, score_kinds: Collection[ScoreKind] = ()
    ) -> Callable[[], list[Prediction]]:
        """Starts a batch; the function returned, called once in the same thread, waits for what `translate` returns.

        Raises:
            DeviceError: the device ran out of memory even for one input.
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
