"""The three seams between geography and tensors. The docstrings are the contract."""

from __future__ import annotations

from typing import Protocol

from geo2map.grid.block import Block, BlockImage
from geo2map.types import Batch


class Source(Protocol):
    """Something that has pixels on the global grid."""

    def read(self, block: Block) -> BlockImage:
        """Reads the block's window.

        The same global pixel has the same value whichever block asks for it. Pixels without data are
        masked out and hold whatever the source likes; `geo2map.grid.fill` decides what the network sees there.
        Called from one thread at a time, not always the one that opened the source.

        Raises:
            SceneError: the data are damaged or went away.
        """
        ...


class Translator(Protocol):
    """Something that turns pictures of kind A into pictures of kind B, pixel for pixel."""

    def translate(self, batch: Batch) -> Batch:
        """Translates uint8 (N, H, W, 3) to uint8 of the same shape; H and W are multiples of 256 / span.

        A picture's result does not depend on its batch mates.

        Raises:
            DeviceError: the device ran out of memory even for one picture.
        """
        ...


class Sink(Protocol):
    """Somewhere translated pixels go."""

    def write(self, image: BlockImage) -> None:
        """Stores the tiles of a margin-less block image that have a valid pixel. Idempotent; may be called
        from several threads at once, never for the same tile.

        Raises:
            OutputError: the output cannot be written.
        """
        ...

    def commit(self) -> None:
        """Makes overviews and metadata, then everything visible under the output's name at once."""
        ...

    def abort(self) -> None:
        """Removes whatever was written; the output's name stays as it was. Harmless after `commit`."""
        ...


class Progress(Protocol):
    """Told how far a stage has come."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...
